import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { residentMiB } from '../support/well-behaved-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { request, respPort } from '../support/resp.ts';
import { SlowClient } from '../support/slow-client.ts';
import { BUSY_MS, Stopwatch } from '../support/stopwatch.ts';

const LONG_MS = 180_000;
const MiB = 2 ** 20;
const VALUE_BYTES = 4 * MiB;
/** More than a fifth of the memory for large values. */
const LARGE_BYTES = 12 * MiB;
const GET_LARGE = 'GET /v1/keys/large HTTP/1.1\r\nHost: x\r\n\r\n';
const GET_MEDIUM = 'GET /v1/keys/medium HTTP/1.1\r\nHost: x\r\n\r\n';
const CLIENTS = 4;
/** Values that one client requests repeatedly; too large to be cached. */
const VALUES = 20;
const REQUESTS = 40;
const BOUND_MiB = 64;
/** Allowance for other growth of the proxy: its heap, and memory that the allocator returns late. */
const MARGIN_MiB = 64;
const HTTP_HEAD = /^HTTP\/1\.1 200 OK\r\n[^]*?\r\n\r\n/;

const keyOf = (client: number, index: number): string => `large:${client}:${index % VALUES}`;
const valueOf = (client: number, index: number): Buffer =>
  Buffer.alloc(VALUE_BYTES, client * VALUES + (index % VALUES) + 1);
const indices = Array.from({ length: REQUESTS }, (_, i) => i);

const TRANSPORTS = {
  HTTP: {
    requests: (client: number) =>
      Buffer.from(indices.map((i) => `GET /v1/keys/${keyOf(client, i)} HTTP/1.1\r\nHost: x\r\n\r\n`).join('')),
    head: HTTP_HEAD,
    expected: (client: number) => (index: number) => valueOf(client, index),
  },
  'the Redis protocol': {
    requests: (client: number) => Buffer.concat(indices.map((i) => request('GET', keyOf(client, i)))),
    head: /^\$4194304\r\n/,
    expected: (client: number) => (index: number) => Buffer.concat([valueOf(client, index), Buffer.from('\r\n')]),
  },
};

const reset = (socket: Socket): void => void socket.resetAndDestroy();
const close = (socket: Socket): void => void socket.destroy();
describeOwn('PROXY_MAX_BUFFERED_BYTES bounds the memory that slow readers of cold large values can take:', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let clients: SlowClient[] = [];
  let requested = 0;

  beforeAll(async () => {
    redis = await TestRedis.start();
    for (let client = 0; client < CLIENTS; client++) {
      for (let i = 0; i < VALUES; i++) await redis.client.set(keyOf(client, i), valueOf(client, i));
    }
    await redis.client.mset('hot', 'value', 'large', Buffer.alloc(LARGE_BYTES, 'l'));
    await redis.client.mset(...Array.from({ length: 2000 }, (_, i) => [`cold:${i}`, 'value']).flat());
  });
  afterAll(() => redis?.stop());
  afterEach(async () => {
    for (const { socket } of clients) socket.destroy();
    clients = [];
    const isFree = async (): Promise<boolean> =>
      (await metric('buffered_bytes')) === 0 && (await metric('loads_waiting_for_memory')) === 0;
    await until('nothing is buffered any more', async () => (await isFree().catch(() => false)) || undefined);
  });

  async function start(settings: Settings): Promise<void> {
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      PROXY_MAX_BUFFERED_BYTES: BOUND_MiB * MiB,
      // The machine may be busy and a client slow.
      REDIS_COMMAND_TIMEOUT_MS: 20_000,
      HTTP_REQUEST_TIMEOUT_MS: 60_000,
      ...settings,
    });
    for (let i = 0; i < 50; i++) await proxy.key('hot');
  }

  async function metric(name: string): Promise<number> {
    const { text } = await proxy.get('/metrics');
    return Number(new RegExp(`^redis_http_cache_proxy_${name} (.*)$`, 'm').exec(text)?.[1]);
  }

  const portOf = (transport: string): number =>
    transport === 'HTTP' ? Number(new URL(proxy.url).port) : respPort(proxy);

  /** Reads small cold keys and a hot one for a while; returns by how many MiB the proxy has grown, and the slow reads. */
  async function watch(firstMiB: number, reads: number): Promise<{ grownMiB: number; slow: number }> {
    let grownMiB = 0;
    let slow = 0;
    for (let i = 0; i < reads; i++) {
      const key = i % 2 === 0 ? `cold:${requested++}` : 'hot';
      const stopwatch = new Stopwatch();
      expect((await proxy.key(key)).text).toBe('value');
      if (stopwatch.stop() > 1000 + BUSY_MS) slow++;
      grownMiB = Math.max(grownMiB, residentMiB(proxy) - firstMiB);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { grownMiB, slow };
  }

  function promises(transport: keyof typeof TRANSPORTS): void {
    const { requests, head, expected } = TRANSPORTS[transport];
    it(
      `four who pipeline 40 GETs of 4 MiB over ${transport}; small keys are answered within a second, and all when they read`,
      async () => {
        const firstMiB = residentMiB(proxy);
        for (let client = 0; client < CLIENTS; client++) {
          clients.push(await SlowClient.send(portOf(transport), requests(client)));
        }
        const { grownMiB, slow } = await watch(firstMiB, 100);
        expect(grownMiB).toBeLessThan(BOUND_MiB + MARGIN_MiB);
        expect(slow).toBe(0);
        await until('values are held', async () => (await metric('buffered_bytes')) > 0 || undefined);
        for (const { socket } of clients.slice(1)) socket.destroy();
        expect(await clients[0].read(REQUESTS, head, expected(0))).toBe(REQUESTS);
        expect(residentMiB(proxy) - firstMiB).toBeLessThan(BOUND_MiB + MARGIN_MiB);
      },
      LONG_MS,
    );
  }

  describe('with the fast path,', () => {
    beforeAll(() => start({ HTTP_FAST_PATH: 'on' }));
    afterAll(() => proxy?.stop());

    promises('HTTP');
    promises('the Redis protocol');

    it(
      'clients that pipeline small and large keys receive all responses in order',
      async () => {
        const count = 60;
        const key = (i: number): string => (i % 3 === 0 ? keyOf(0, i) : `cold:${i}`);
        const requests = Buffer.concat(Array.from({ length: count }, (_, i) => request('GET', key(i))));
        const expected = (i: number): Buffer =>
          Buffer.concat([i % 3 === 0 ? valueOf(0, i) : Buffer.from('value'), Buffer.from('\r\n')]);
        const firstMiB = residentMiB(proxy);
        for (let i = 0; i < 8; i++) clients.push(await SlowClient.send(respPort(proxy), requests));
        const { grownMiB } = await watch(firstMiB, 20);
        expect(grownMiB).toBeLessThan(BOUND_MiB + MARGIN_MiB);
        const read = clients.slice(0, 2).map((client) => client.read(count, /^\$\d+\r\n/, expected));
        expect(await Promise.all(read)).toEqual([count, count]);
      },
      LONG_MS,
    );

    it(
      'reads beyond the limit wait, and are served as other clients read or disconnect',
      async () => {
        // Every client requests another key, because a shared value is in memory once.
        const places = Array.from({ length: 8 }, (_, client) =>
          Array.from({ length: 5 }, (__, i) => [client % CLIENTS, 5 * Math.floor(client / CLIENTS) + i] as const),
        );
        const firstMiB = residentMiB(proxy);
        for (const each of places) {
          const keys = each.map(([client, index]) => keyOf(client, index));
          clients.push(await SlowClient.send(respPort(proxy), Buffer.from(request('MGET', ...keys))));
        }
        await until('some wait', async () => (await metric('loads_waiting_for_memory')) > 0 || undefined);
        const { grownMiB, slow } = await watch(firstMiB, 20);
        expect(grownMiB).toBeLessThan(BOUND_MiB + MARGIN_MiB);
        expect(slow).toBe(0);
        for (const { socket } of clients.slice(0, 4)) socket.destroy();
        const read = clients.slice(4).map((client, i) => {
          const values = places[4 + i].flatMap((place) => [
            Buffer.from('$4194304\r\n'),
            valueOf(...place),
            Buffer.from('\r\n'),
          ]);
          return client.read(1, /^\*5\r\n/, () => Buffer.concat(values));
        });
        expect(await Promise.all(read)).toEqual([1, 1, 1, 1]);
      },
      LONG_MS,
    );

    it(
      'multi-key responses over HTTP are charged as rendered',
      async () => {
        // Characters that JSON does not escape.
        const keys = [keyOf(2, 0), keyOf(2, 1), keyOf(2, 2)];
        const body = JSON.stringify({ keys });
        const requests = Buffer.from(
          `POST /v1/mget HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        );
        const firstMiB = residentMiB(proxy);
        for (let i = 0; i < 12; i++) clients.push(await SlowClient.send(portOf('HTTP'), requests));
        await until('some wait', async () => (await metric('loads_waiting_for_memory')) > 0 || undefined);
        const { grownMiB } = await watch(firstMiB, 20);
        expect(grownMiB).toBeLessThan(BOUND_MiB + MARGIN_MiB);
        for (const { socket } of clients.slice(0, 10)) socket.destroy();
        const text = JSON.stringify(String(valueOf(2, 0)));
        const first = Buffer.from(`{"results":[{"status":200,"value":${text},"encoding":"utf8"`);
        const read = clients.slice(10).map((client) => client.read(1, HTTP_HEAD, () => first));
        expect(await Promise.all(read)).toEqual([1, 1]);
      },
      LONG_MS,
    );
  });

  /**
   * Waits until unread values take as many bytes, and no load does, twice without a load in between: so the kernel accepts
   * nothing more of them.
   */
  async function untilHeld(bytes: number): Promise<void> {
    let before = -1;
    await until('clients hold values', async () => {
      const loads = await metric('loads_total');
      const isSame = loads === before;
      before = loads;
      const isHeld = (await metric('buffered_bytes')) >= bytes && (await metric('loads_in_flight')) === 0;
      return (isHeld && isSame) || undefined;
    });
  }

  /** Checks that reads for values of 4 MiB, for which there is no memory, end when their clients abort. */
  async function abortWaiting(
    transport: keyof typeof TRANSPORTS,
    abort: (socket: Socket) => void,
    heldBytes: number,
  ): Promise<void> {
    const { requests } = TRANSPORTS[transport];
    // Of different values: one that clients share is in memory once, and might fit.
    const aborting = await Promise.all(
      Array.from({ length: 10 }, (_, i) => SlowClient.send(portOf(transport), requests(i % CLIENTS))),
    );
    clients.push(...aborting);
    const waiting = async (): Promise<number> => metric('loads_waiting_for_memory');
    await until('they wait', async () => (await waiting()) > 0 || undefined);
    for (const { socket } of aborting) abort(socket);
    await until('none of them waits', async () => (await waiting()) === 0 || undefined);
    await untilHeld(heldBytes);
  }

  describe('without the fast path,', () => {
    beforeAll(() => start({ HTTP_FAST_PATH: 'off' }));
    afterAll(() => proxy?.stop());

    promises('HTTP');

    it(
      'reads stop waiting when their clients close their connections, while others hold the memory',
      async () => {
        for (let i = 1; i <= 4; i++) {
          clients.push(await SlowClient.send(portOf('HTTP'), Buffer.from(GET_LARGE)));
          // A request during the load would share its value.
          await untilHeld(i * LARGE_BYTES);
        }
        await abortWaiting('HTTP', close, 4 * LARGE_BYTES);
      },
      LONG_MS,
    );
  });

  describe('with memory for one large value,', () => {
    const SMALL = 50;
    const small = Buffer.alloc(40_000, 's');
    const smallKeys = (transport: string) => Array.from({ length: SMALL }, (_, i) => `small:${transport}:${i}`);

    beforeAll(async () => {
      const keys = Object.keys(TRANSPORTS).flatMap(smallKeys);
      await redis.client.mset(...keys.flatMap((key) => [key, small]));
      await redis.client.set('medium', Buffer.alloc(MiB));
      await start({ PROXY_MAX_BUFFERED_BYTES: 4.75 * MiB, CACHE_MAX_VALUE_BYTES: small.length });
    });
    afterAll(() => proxy?.stop());

    it.each([
      ['HTTP', 'reset', reset],
      ['HTTP', 'closed', close],
      ['the Redis protocol', 'reset', reset],
      ['the Redis protocol', 'closed', close],
    ] as const)(
      'reads over %s stop waiting for it when their connections are %s, while another client holds it',
      async (transport, _, abort) => {
        clients.push(await SlowClient.send(portOf('HTTP'), Buffer.from(GET_MEDIUM.repeat(40))));
        await untilHeld(MiB);
        await abortWaiting(transport, abort, MiB);
      },
      LONG_MS,
    );

    it(
      'a read that waits for it does not wait for replies behind it that cannot be read again',
      async () => {
        const others = Array.from({ length: 100 }, () => request('COMMAND', 'DOCS'));
        const requests = Buffer.concat([request('GET', keyOf(0, 0)), ...others]);
        const client = await SlowClient.send(respPort(proxy), requests);
        clients.push(client);
        const expected = Buffer.concat([valueOf(0, 0), Buffer.from('\r\n')]);
        expect(await client.read(1, /^\$\d+\r\n/, () => expected)).toBe(1);
      },
      LONG_MS,
    );

    it.each([
      ['HTTP', (key: string) => `GET /v1/keys/${key} HTTP/1.1\r\nHost: x\r\n\r\n`, HTTP_HEAD, ''],
      ['the Redis protocol', (key: string) => request('GET', key), /^\$\d+\r\n/, '\r\n'],
    ] as const)(
      'a read that waits for it over %s does not wait for the replies behind it, half of which are cached',
      async (transport, get, head, tail) => {
        for (const [i, key] of smallKeys(transport).entries()) if (i % 2 === 0) await proxy.key(key);
        const slow = await SlowClient.send(portOf(transport), Buffer.from(String(get('medium')).repeat(40)));
        clients.push(slow);
        await untilHeld(MiB);
        await new Promise((resolve) => setTimeout(resolve, 500));
        const keys = [keyOf(0, 0), ...smallKeys(transport)];
        const client = await SlowClient.send(portOf(transport), Buffer.from(keys.map((key) => get(key)).join('')));
        clients.push(client);
        const waiting = async (): Promise<number> => metric('loads_waiting_for_memory');
        await until('it waits', async () => (await waiting()) > 0 || undefined);
        await new Promise((resolve) => setTimeout(resolve, 500));
        slow.socket.destroy();
        const expected = (i: number): Buffer => Buffer.concat([i === 0 ? valueOf(0, 0) : small, Buffer.from(tail)]);
        expect(await client.read(keys.length, head, expected)).toBe(keys.length);
      },
      LONG_MS,
    );
  });

  describe('in two threads,', () => {
    beforeAll(() => start({ PROXY_THREADS: 2 }));
    afterAll(() => proxy?.stop());

    it('the memory of a crashed thread is released', async () => {
      for (let i = 0; i < CLIENTS; i++)
        clients.push(await SlowClient.send(portOf('HTTP'), TRANSPORTS.HTTP.requests(i)));
      await until(
        'all hold something',
        async () => (await metric('buffered_bytes')) >= CLIENTS * VALUE_BYTES || undefined,
      );
      // At once: after the first crash the other thread would be the first one.
      await Promise.all([0, 1].map((thread) => proxy.inject(thread, 'throw')));
      await until('both are back', () =>
        proxy.ready().then(
          () => true as const,
          () => undefined,
        ),
      );
    });
  });
});
