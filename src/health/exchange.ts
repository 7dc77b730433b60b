import type { Socket } from 'node:net';
import { openSocketPair } from '../net/node-internals/socket-pair.ts';

/** The bound is counted in ticks: while the event loop stands still, for whatever reason, only one of them passes. */
const TICK_MS = 100;
const MAX_TICKS = 10;

/** How a connection was served: not, and why; or `unchecked`, as there was no connection to try it on. */
export type ExchangeResult = 'ok' | 'unchecked' | { readonly failure: string };

/**
 * Sends a request twice over one loopback connection of this process to itself, the second one when the first is answered.
 *
 * @param serve takes the accepted socket, as it takes those of clients.
 * @param request in Latin-1.
 * @param ending how a complete and right response ends.
 */
export async function exchangeTwice(
  serve: (socket: Socket) => void,
  request: string,
  ending: string,
): Promise<ExchangeResult> {
  let received = '';
  let notify = (): void => undefined;
  const pair = await openSocketPair((bytes) => {
    received += bytes.toString('latin1');
    notify();
  }).catch(() => undefined);
  if (pair === undefined) return 'unchecked';
  const { accepted, peer } = pair;
  try {
    serve(accepted);
    return await new Promise<ExchangeResult>((resolve) => {
      let ticks = 0;
      let sent = 0;
      const end = (result: ExchangeResult): void => {
        clearInterval(timer);
        resolve(result);
      };
      const timer = setInterval(() => {
        if (++ticks === MAX_TICKS) end({ failure: `no response within ${MAX_TICKS * TICK_MS} ms` });
      }, TICK_MS);
      // As text: what the peer sends must not depend on what is checked.
      const send = (): void => {
        received = '';
        sent++;
        peer.write(request, 'latin1');
      };
      notify = () => {
        if (!received.endsWith(ending)) return;
        if (sent === 2) end('ok');
        else send();
      };
      peer.once('close', () => {
        const firstLine = received.split('\r\n')[0].slice(0, 80);
        end({
          failure: firstLine === '' ? 'the connection was closed without a response' : `unexpected: ${firstLine}`,
        });
      });
      send();
    });
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  } finally {
    pair.destroy();
  }
}
