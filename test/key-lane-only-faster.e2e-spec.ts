import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type FuzzResult, fuzz } from './lane/fuzz.ts';
import { Arena } from './lane/rivals.ts';
import { describeOwn } from './support/only-own.ts';
import { Child } from './support/processes.ts';

const MAIN = new URL('./lane/main.ts', import.meta.url).pathname;
const REQUESTS = 3000;
const LONG_MS = 120_000;

type Change = (text: string) => string;
const same: Change = (text) => text;

describeOwn('the key lane is only faster', () => {
  it(
    'it says what node:http says, whatever it is asked',
    async () => {
      // In a process of its own: Jest traces sockets, and these are thousands.
      const run = new Child(process.execPath, [MAIN, String(REQUESTS)], { env: { PATH: process.env.PATH } });
      expect([await run.exit, run.output + run.errors]).toEqual([0, expect.stringContaining('no difference')]);
      expect(Number(/^(\d+) requests in \d+ conversations, seed/m.exec(run.output)?.[1])).toBeGreaterThanOrEqual(
        REQUESTS,
      );
    },
    LONG_MS,
  );

  describe('which a comparison says that finds a server', () => {
    let arena: Arena;
    let stop: () => void = () => undefined;
    beforeAll(async () => {
      arena = await Arena.open({ lane: { HTTP_LANE: 'off' }, plain: { HTTP_LANE: 'off' } }, ['as it comes']);
    });
    afterEach(() => stop());
    afterAll(() => arena?.close());

    /** Compares a proxy with itself behind a relay that changes what passes. */
    async function compare(asked: Change, answered: Change): Promise<FuzzResult> {
      const [{ plain, ...rest }] = arena.rivals;
      const relay = await startRelay(plain, asked, answered);
      stop = relay.stop;
      const rivals = [{ ...rest, plain, lane: relay.url }];
      return fuzz({ rivals, requests: 1200, seed: 1, shrinkMs: 500, clients: 40, prepare: () => arena.prepare() });
    }

    it.each<[what: string, asked: Change, answered: Change]>([
      ['that forgives spaces before a colon', (text) => text.replace(/(\n[\w-]+)[ \t]+:/g, '$1:'), same],
      ['that takes a lone line feed for the end of a line', (text) => text.replace(/(?<!\r)\n/g, '\r\n'), same],
      ['that reads no If-None-Match', (text) => text.replace(/If-None-Match/gi, 'X-None-Match'), same],
      ['that reads no Cache-Control', (text) => text.replace(/Cache-Control/gi, 'X-Cache-Control'), same],
      ['that reads no Pragma', (text) => text.replace(/Pragma/gi, 'X-Pragma'), same],
      ['that writes a header in another way', same, (text) => text.replaceAll('Content-Length', 'content-length')],
    ])(
      '%s',
      async (_, asked, answered) => {
        const { difference } = await compare(asked, answered);
        expect(difference).toMatch(/^the lane says something else than node:http/);
      },
      LONG_MS,
    );

    it(
      'unless it is the same',
      async () => {
        const { difference, progress } = await compare(same, same);
        expect([difference, progress.requests >= 1200]).toEqual([undefined, true]);
      },
      LONG_MS,
    );
  });
});

async function startRelay(to: string, asked: Change, answered: Change): Promise<{ url: string; stop: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: Number(new URL(to).port), host: '127.0.0.1', allowHalfOpen: true });
    for (const [from, into, change] of [
      [near, far, asked],
      [far, near, answered],
    ] as const) {
      sockets.add(from.setNoDelay(true).setEncoding('latin1'));
      from.on('data', (text: string) => into.write(change(text), 'latin1'));
      from.on('end', () => into.end());
      from.on('error', () => into.destroy()).on('close', () => sockets.delete(from));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}
