import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { WellBehavedClient, residentMiB } from '../support/well-behaved-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { request, respPort } from '../support/resp.ts';

const LONG_MS = 180_000;
const MEGABYTE = 1_000_000;
const OK = 'HTTP/1.1 200 OK\r\n';
/** Large cached values. */
const LARGE = Array.from({ length: 16 }, (_, i) => `large${i}`);

/** A connection, and the bytes received on it if it reads. */
interface Attacker {
  readonly socket: Socket;
  received: string;
  closed: boolean;
}

describeOwn('clients that mean no good take nothing from the others:', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let attackers: Attacker[];
  let wellBehaved: WellBehavedClient | undefined;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset('hit', 'value', ...LARGE.flatMap((key) => [key, 'x'.repeat(MEGABYTE)]));
  });
  afterAll(() => redis?.stop());
  beforeEach(() => {
    attackers = [];
  });
  afterEach(async () => {
    for (const { socket } of attackers) socket.destroy();
    await wellBehaved?.stop();
    wellBehaved = undefined;
  });

  async function start(settings: Settings): Promise<void> {
    // One thread, so that all clients share it.
    proxy = await TestProxy.start({ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 1, ...settings });
    for (const key of ['hit', ...LARGE]) {
      await until(`${key} is held`, async () => (await proxy.key(key)).status === 200 || undefined);
    }
  }

  /**
   * A proxy shared by several tests. The growth of its memory is measured from its start, so the tests with the lowest
   * limits come first.
   */
  function describeOne(what: string, settings: Settings, tests: () => void): void {
    describe(what, () => {
      let firstMiB: number;
      beforeAll(async () => {
        await start(settings);
        firstMiB = residentMiB(proxy);
      });
      beforeEach(async () => {
        wellBehaved = await WellBehavedClient.start(proxy, 'hit', firstMiB);
      });
      afterAll(() => proxy?.stop());
      tests();
    });
  }

  /** @param reads whether the client reads. */
  function attack(port: number, bytes: string | Buffer, reads = true): Attacker {
    const socket = connect(port, '127.0.0.1');
    const attacker = { socket, received: '', closed: false };
    socket.on('error', () => undefined).on('close', () => (attacker.closed = true));
    if (reads) socket.setEncoding('latin1').on('data', (text: string) => (attacker.received += text));
    else socket.pause();
    socket.write(bytes);
    attackers.push(attacker);
    return attacker;
  }

  const httpPort = (): number => Number(new URL(proxy.url).port);
  async function connections(): Promise<number> {
    const { text } = await proxy.get('/metrics');
    return Number(/^redis_http_cache_proxy_connections (\d+)$/m.exec(text)?.[1]);
  }

  /** A client that does not read cannot observe the end of its connection: the proxy's metrics show it. */
  const untilAllClosed = (): Promise<true> =>
    until('all attackers are cut off', async () => (await connections()) <= 2 || undefined);
  const allClosed = (): Promise<true> =>
    until('all attackers are cut off', () => attackers.every(({ closed }) => closed) || undefined);

  /** Expects that other clients were served, and that the proxy's memory has grown by at most this many MiB. */
  async function expectHealthy(maxGrownMiB: number): Promise<void> {
    const other = wellBehaved as WellBehavedClient;
    const before = other.responses;
    await until('others are served', () => other.responses > before + 5 || other.failed || undefined);
    const { statuses, grownMiB } = await other.stop();
    expect(statuses).toEqual(['200']);
    expect(grownMiB).toBeLessThan(maxGrownMiB);
  }

  describeOne('over the Redis protocol and over HTTP', {}, () => {
    it.each([
      ['an array of more than a million', '*1048577\r\n', 'invalid multibulk length'],
      ['an array beyond all numbers', `*${'9'.repeat(30)}\r\n`, 'invalid multibulk length'],
      ['more than half a gigabyte', '*1\r\n$536870913\r\n', 'invalid bulk length'],
      ['arrays in arrays', '*1\r\n'.repeat(100_000), "expected '$', got '*'"],
      ['a count without end', `*${'1'.repeat(MEGABYTE)}`, 'invalid multibulk length'],
      ['an inline request without end', 'x'.repeat(MEGABYTE), 'too big inline request'],
      ['a quotation without end', `"${'x'.repeat(60_000)}\r\n`, 'unbalanced quotes in request'],
      ['a negative length', '*1\r\n$-5\r\n', 'invalid bulk length'],
    ])('that send %s receive an error, and are disconnected', async (_, text, problem) => {
      const bytes = Buffer.from(text);
      for (let i = 0; i < 20; i++) attack(respPort(proxy), bytes);
      await allClosed();
      for (const { received } of attackers) expect(received).toBe(`-ERR Protocol error: ${problem}\r\n`);
      await expectHealthy(100);
    });

    const head = 'GET /v1/keys/hit HTTP/1.1\r\nHost: x\r\n';
    it.each([
      ['many headers', `${head}${'a: b\r\n'.repeat(60_000)}\r\n`],
      ['long headers', `${head}X: ${'x'.repeat(10 * MEGABYTE)}\r\n\r\n`],
      ['the name of a header that does not end', `${head}${'x'.repeat(10 * MEGABYTE)}`],
      ['a long request line', `GET /v1/keys/${'x'.repeat(10 * MEGABYTE)} HTTP/1.1\r\nHost: x\r\n\r\n`],
      ['a long query', `GET /v1/keys/hit?${'x'.repeat(10 * MEGABYTE)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ])(
      'that send %s receive 413 or 431',
      async (_, text) => {
        const bytes = Buffer.from(text);
        for (let i = 0; i < 5; i++) attack(httpPort(), bytes);
        await allClosed();
        expect(attackers.map(({ received }) => received.slice(0, 13))).toContain('HTTP/1.1 431 ');
        await expectHealthy(100);
      },
      LONG_MS,
    );

    it.each([
      ['nested', '['.repeat(500_000)],
      ['nested as objects', '{"a":'.repeat(100_000)],
      ['nested as it should be', `{"keys":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
      ['of many names', `{${Array.from({ length: 40_000 }, (_, i) => `"${i}":1`).join()}}`],
      ['of many keys', JSON.stringify({ keys: Array.from({ length: 100_000 }, () => 'k') })],
      ['of a long number', `{"keys":[${'9'.repeat(500_000)}]}`],
    ])('that send %s JSON receive 4xx', async (_, body) => {
      const headers = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close`;
      const bytes = Buffer.from(`POST /v1/mget HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`);
      for (let i = 0; i < 5; i++) attack(httpPort(), bytes);
      await allClosed();
      for (const { received } of attackers) expect(received).toMatch(/^HTTP\/1\.1 4(?:00|13) /);
      await expectHealthy(300);
    });

    it(
      'that pipeline 50,000 requests and read receive all responses',
      async () => {
        const attacker = attack(httpPort(), Buffer.from('GET /v1/keys/hit HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(50_000)));
        let count = 0;
        await until('all responses received', () => {
          const parts = attacker.received.split(OK);
          count += parts.length - 1;
          // Keep only the unparsed rest: the responses together are long.
          attacker.received = parts.at(-1) ?? '';
          return count === 50_000 || undefined;
        });
        // Buffers of pending writes are garbage-collected late, the more so on a busy machine.
        await expectHealthy(400);
      },
      LONG_MS,
    );
  });

  describeOne('which do not wait long,', { HTTP_REQUEST_TIMEOUT_MS: 1500, REDIS_COMMAND_TIMEOUT_MS: 500 }, () => {
    it(
      'that request large values over HTTP and never read',
      async () => {
        const requests = LARGE.map((key) => `GET /v1/keys/${key} HTTP/1.1\r\nHost: x\r\n\r\n`).join('');
        const bytes = Buffer.from(requests.repeat(50));
        for (let i = 0; i < 30; i++) attack(httpPort(), bytes, false);
        await untilAllClosed();
        // Each occupies at most one response in addition to the kernel's buffers.
        await expectHealthy(200);
      },
      LONG_MS,
    );

    it(
      'that pipeline 100,000 commands in one chunk and never read',
      async () => {
        attack(respPort(proxy), Buffer.from('PING\r\n'.repeat(100_000)), false);
        attack(respPort(proxy), Buffer.from(request('GET', 'hit').toString().repeat(100_000)), false);
        attack(respPort(proxy), Buffer.from('COMMAND\r\n'.repeat(20_000)), false);
        attack(respPort(proxy), Buffer.from('TTL nobody\r\n'.repeat(100_000)), false);
        await until('stalled client disconnected', async () => (await connections()) <= 5 || undefined);
        // The garbage of 100,000 reads of a TTL is collected late.
        await expectHealthy(300);
      },
      LONG_MS,
    );

    it(
      'that request many batches at once and never read',
      async () => {
        const body = JSON.stringify({ keys: LARGE });
        const batch = `POST /v1/mget HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
        const bytes = Buffer.from(batch.repeat(300));
        for (let i = 0; i < 3; i++) attack(httpPort(), bytes, false);
        await untilAllClosed();
        // Three responses of 16 MiB, and the memory to render them.
        await expectHealthy(300);
      },
      LONG_MS,
    );

    it.each([
      ['hits', '/v1/keys/hit'],
      ['what is not for the fast path', '/health/live'],
      ['what waits for Redis', '/health/ready'],
      ['what is long', '/metrics'],
    ])(
      'that pipeline 50,000 requests and never read: %s',
      async (_, path) => {
        attack(httpPort(), Buffer.from(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(50_000)), false);
        await untilAllClosed();
        await expectHealthy(300);
      },
      LONG_MS,
    );

    it(
      'that send an endless body to a route without one',
      async () => {
        const chunk = Buffer.from(`10000\r\n${'x'.repeat(0x10000)}\r\n`);
        const endless = (path: string): void => {
          const { socket } = attack(
            httpPort(),
            `${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
          );
          const writeMore = (): void => {
            while (!socket.destroyed && socket.write(chunk));
          };
          socket.on('drain', writeMore);
          writeMore();
        };
        for (let i = 0; i < 5; i++) endless('GET /v1/keys/hit');
        endless('POST /v1/mget');
        await allClosed();
        expect(attackers[0].received).toMatch(/^HTTP\/1\.1 200 /);
        expect(attackers[5].received).toMatch(/^HTTP\/1\.1 413 /);
        await expectHealthy(300);
      },
      LONG_MS,
    );

    it(
      'that request large values over the Redis protocol and never read',
      async () => {
        const gets = Buffer.concat(LARGE.map((key) => request('GET', key)));
        for (let i = 0; i < 30; i++) attack(respPort(proxy), gets, false);
        // An uncached key makes each of them wait for Redis while it occupies the values of the others.
        const batches = Buffer.from(
          request('MGET', ...LARGE, 'nobody')
            .toString()
            .repeat(500),
        );
        for (let i = 0; i < 3; i++) attack(respPort(proxy), batches, false);
        await untilAllClosed();
        await expectHealthy(500);
      },
      LONG_MS,
    );
  });

  const short = { HTTP_HEADERS_TIMEOUT_MS: 1000, HTTP_REQUEST_TIMEOUT_MS: 1000, REDIS_COMMAND_TIMEOUT_MS: 1000 };
  describeOne('who send byte by byte', short, () => {
    /** Waits until all are disconnected. */
    async function drip(): Promise<void> {
      // After what has been received was read: writing to a connection that the proxy has closed would lose the response.
      const write = (): void => {
        for (const { socket, closed } of attackers) if (!closed) socket.write('a');
      };
      const dripping = setInterval(() => setImmediate(write), 50);
      await allClosed().finally(() => clearInterval(dripping));
    }

    it('their headers', async () => {
      for (let i = 0; i < 200; i++) attack(httpPort(), 'GET /v1/keys/hit HTTP/1.1\r\nHost: x\r\nX: ');
      await drip();
      for (const { received } of attackers) expect(received).toMatch(/^HTTP\/1\.1 408 /);
      await expectHealthy(100);
    });

    it('a request of the Redis protocol', async () => {
      for (let i = 0; i < 100; i++) attack(respPort(proxy), '*2\r\n$3\r\nGET\r\n$1000\r\n');
      await drip();
      await expectHealthy(100);
    });
  });

  describeOne('with few places,', { PROXY_MAX_CONNECTIONS: 50, HTTP_HEADERS_TIMEOUT_MS: 2000 }, () => {
    it(
      'that connect in thousands',
      async () => {
        for (let wave = 0; wave < 10; wave++) {
          for (let i = 0; i < 200; i++) {
            // Some send nothing, some half a request, some half-close the connection.
            const { socket } = attack(i % 4 === 3 ? respPort(proxy) : httpPort(), i % 2 === 0 ? '' : 'GET /v1/ke');
            if (i % 4 === 0) socket.end();
          }
          const connecting = attackers.filter(({ socket }) => socket.connecting);
          await Promise.all(connecting.map(({ socket }) => once(socket, 'connect').catch(() => [])));
        }
        const refused = (): number =>
          attackers.filter(({ received }) => /^HTTP\/1\.1 503 |^-ERR max/.test(received)).length;
        await until('some connections to be rejected', () => refused() > 100 || undefined);
        for (const { socket } of attackers) socket.destroy();
        await until(
          'connections accepted again',
          async () => (await proxy.get('/health/live').catch(() => undefined))?.status === 200 || undefined,
        );
        await expectHealthy(300);
      },
      LONG_MS,
    );
  });

  describeOne('which wait for them,', { RESP_IDLE_TIMEOUT_MS: 1500 }, () => {
    it('that stop sending', async () => {
      const known = attack(respPort(proxy), 'PING\r\n');
      await until('it is answered', () => known.received === '+PONG\r\n' || undefined);
      await allClosed();
      await expectHealthy(100);
    });
  });

  it('that never authenticate', async () => {
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      ACCESS_TOKEN: 'reader',
      HTTP_HEADERS_TIMEOUT_MS: 1500,
    });
    try {
      const reader = attack(respPort(proxy), 'AUTH reader\r\n');
      await until('it is let in', () => reader.received === '+OK\r\n' || undefined);
      const respClient = attack(respPort(proxy), '');
      const persistent = attack(respPort(proxy), 'PING\r\n');
      const drip = setInterval(() => persistent.socket.write('AUTH guess\r\n'), 20);
      await until('strangers are cut off', () => (respClient.closed && persistent.closed) || undefined).finally(() =>
        clearInterval(drip),
      );
      reader.socket.write('PING\r\n');
      await until('who has authenticated stays', () => reader.received === '+OK\r\n+PONG\r\n' || undefined);
    } finally {
      await proxy.stop();
    }
  });
});
