import type { Socket } from 'node:net';
import { openSocketPair } from '../net/node-internals/socket-pair.ts';

/** The time limit is counted in timer ticks, so that a stalled event loop does not count as a missing response. */
const TICK_MS = 100;
const MAX_TICKS = 10;

/** Result of an exchange. `unchecked`: no loopback connection could be opened. */
export type ExchangeResult = 'ok' | 'unchecked' | { readonly failure: string };

/**
 * Sends a request twice over one loopback connection of this process to itself, the second time after the first response.
 *
 * @param serve accepts the server side of the connection, as a listener would.
 * @param request the bytes as Latin-1.
 * @param ending the last bytes of a correct response, as Latin-1.
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
      // Written as a string: the peer must not use the direct socket write, which is under test.
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
