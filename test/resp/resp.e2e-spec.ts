import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { describeOwn } from '../support/only-own.ts';
import { freePort, until } from '../support/processes.ts';
import { TestProxy, launch } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

let redis: TestRedis;
let proxy: TestProxy;
let sockets: RespSocket[] = [];

async function startRedis(): Promise<void> {
  redis = await TestRedis.start();
  await redis.client.mset({ key: 'value', other: 'second' });
}

const start = async (settings: Record<string, string | number> = {}): Promise<TestProxy> =>
  (proxy = await TestProxy.start({ REDIS_URL: redis.url, RESP_PORT: 0, ...settings }));

function closeSockets(): void {
  for (const { socket } of sockets) socket.destroy();
  sockets = [];
}

async function stop(): Promise<void> {
  closeSockets();
  redis.server?.signal('SIGCONT');
  await proxy.stop();
  await redis.stop();
}

async function open(): Promise<RespSocket> {
  const socket = await RespSocket.open(respPort(proxy));
  sockets.push(socket);
  return socket;
}

async function metric(name: string): Promise<number> {
  const { text } = await proxy.get('/metrics');
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`redis_http_cache_proxy_${name} `))
      ?.split(' ')
      .at(-1),
  );
}

const loadInFlight = (): Promise<true> =>
  until('a load is in flight', async () => (await metric('loads_in_flight')) === 1 || undefined);

describeOwn('the Redis protocol with its default settings', () => {
  beforeAll(async () => {
    await startRedis();
    await start();
  });
  afterEach(closeSockets);
  afterAll(stop);

  it('shares its cache with HTTP, and counts reads by outcome', async () => {
    const client = await open();
    await client.send(request('GET', 'key')).expect('$5\r\nvalue\r\n');
    expect((await proxy.key('key')).headers['cache-status']).toMatch(/hit/);
    await client
      .send(request('GET', 'key'), request('MGET', 'key', 'none'))
      .expect('$5\r\nvalue\r\n*2\r\n$5\r\nvalue\r\n$-1\r\n');
    expect(await metric('requests_total{transport="resp",outcome="hit"}')).toBe(2);
    expect(await metric('requests_total{transport="resp",outcome="miss"}')).toBe(1);
    expect(await metric('requests_total{transport="resp",outcome="not-found"}')).toBe(1);
    await client
      .send(request('TTL', 'key'), request('PTTL', 'key'), request('TTL', 'none'))
      .expect(':-1\r\n:-1\r\n:-2\r\n');
    expect(await metric('requests_total{transport="resp",outcome="hit"}')).toBe(2);
    expect(await metric('requests_total{transport="resp",outcome="miss"}')).toBe(3);
    expect(await metric('requests_total{transport="resp",outcome="not-found"}')).toBe(2);
  });

  it('serves binary keys and values of many sizes, from Redis and from the cache', async () => {
    const client = await open();
    for (const size of [0, 1, 100, 10_240, 16_384, 16_385, 65_536, 1_048_576, 1_048_577, 3_000_000]) {
      const key = randomBytes(20);
      const value = randomBytes(size);
      await redis.client.set(key, value);
      const reply = `$${size}\r\n${value.toString('latin1')}\r\n`;
      await client.send(request('GET', key)).expect(reply);
      await client.send(request('GET', key), request('STRLEN', key)).expect(`${reply}:${size}\r\n`);
    }
  });

  it('replies to all requests before it closes the connection after a half-close or QUIT', async () => {
    const client = await open();
    client.send(request('GET', 'other'), '*1\r\n$4\r\nPI');
    client.socket.end();
    expect(await client.rest()).toBe('$6\r\nsecond\r\n');
    const other = await open();
    other.send(request('GET', 'none'), 'QUIT\r\nPING\r\n');
    expect(await other.rest()).toBe('$-1\r\n+OK\r\n');
  });

  it('limits the memory of replies to a client that does not read, and continues when it reads', async () => {
    const value = 'v'.repeat(16_000);
    await redis.client.set('large', value);
    const reply = `$16000\r\n${value}\r\n`;
    const client = await open();
    await client.send(request('GET', 'large')).expect(reply);
    const resident = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${proxy.child?.process.pid}/status`, 'utf8'))?.[1]);
    const before = resident();
    client.socket.pause();
    const requests = 20_000;
    client.send(Buffer.concat(Array.from({ length: requests }, () => request('GET', 'large'))));
    await until('the proxy has stopped reading requests', async () => {
      const hits = await metric('cache_hits_total');
      await delay(200);
      return (await metric('cache_hits_total')) === hits ? true : undefined;
    });
    // All replies together have 320 MB.
    expect(resident() - before).toBeLessThan(40_000);
    expect(await metric('cache_hits_total')).toBeLessThan(requests / 2);
    let received = 0;
    client.socket.removeAllListeners('data').on('data', (text: string) => (received += text.length));
    client.socket.resume();
    await until('all replies have arrived', () => (received === requests * reply.length ? true : undefined));
  });
});

describeOwn('the Redis protocol', () => {
  beforeEach(startRedis);
  afterEach(stop);

  it('replies to pipelined requests in order, and loads the misses among them concurrently', async () => {
    await start({ REDIS_COMMAND_TIMEOUT_MS: 20_000, PROXY_THREADS: 1 });
    const client = await open();
    await client.send(request('GET', 'key')).expect('$5\r\nvalue\r\n');
    redis.server?.signal('SIGSTOP');
    client.send(
      request('GET', 'other'),
      request('GET', 'key'),
      'PING\r\n',
      request('GET', 'none'),
      request('ECHO', 'x'),
    );
    await until('both loads are in flight', async () => ((await metric('loads_in_flight')) === 2 ? true : undefined));
    expect(client.received).toBe('');
    redis.server?.signal('SIGCONT');
    await client.expect('$6\r\nsecond\r\n$5\r\nvalue\r\n+PONG\r\n$-1\r\n$1\r\nx\r\n');
  });

  it('replies with errors when Redis fails, also to MGET as a whole, and never reports an unreadable key as missing', async () => {
    // Reads before the failure must not time out on a busy machine.
    await start({
      REDIS_COMMAND_TIMEOUT_MS: 3000,
      PROXY_THREADS: 1,
      PROXY_MAX_CONCURRENT_LOADS: 3,
      PROXY_MAX_QUEUED_LOADS: 0,
    });
    await redis.client.rpush('list', 'a');
    const client = await open();
    const wrong = '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n';
    await client
      .send(request('GET', 'list'), request('GET', 'none'), request('GET', 'nobody'), request('GET', 'key'))
      .expect(`${wrong}$-1\r\n$-1\r\n-OVERLOADED too many Redis reads are queued\r\n`);
    await client.send(request('STRLEN', 'list')).expect(wrong);
    await client.send(request('EXISTS', 'list')).expect(':1\r\n');
    await client.send(request('MGET', 'list')).expect('*1\r\n$-1\r\n');
    redis.server?.signal('SIGSTOP');
    // All at once: the connection is closed for being unresponsive after twice the time-out.
    await client
      .send(request('GET', 'key'), request('MGET', 'other'), request('TTL', 'key'))
      .expect('-TIMEOUT Redis did not reply in time\r\n'.repeat(3));
    await redis.server?.stop('SIGKILL');
    await until('the lost connection is detected', async () =>
      (await metric('redis_connections')) === 0 ? true : undefined,
    );
    for (const name of ['GET', 'MGET', 'EXISTS', 'STRLEN', 'PTTL']) {
      await client.send(request(name, 'key')).expect('-UNAVAILABLE Redis is unavailable\r\n');
    }
  });

  it('closes a connection whose client does not read or stops within a request, but not an idle one', async () => {
    // The write timeout is the longer of the request timeout and three times the command timeout.
    await start({ HTTP_REQUEST_TIMEOUT_MS: 1000, REDIS_COMMAND_TIMEOUT_MS: 1000, PROXY_THREADS: 1 });
    await redis.client.set('large', 'v'.repeat(16_000));
    // Its load may time out on a busy machine.
    await until('the value is cached', async () => (await proxy.key('large')).status === 200 || undefined);
    const [idle, incomplete, notReading] = [await open(), await open(), await open()];
    await notReading.send(request('GET', 'large')).expect(`$16000\r\n${'v'.repeat(16_000)}\r\n`);
    await until('all connections are counted', async () => ((await metric('connections')) === 4 ? true : undefined));
    incomplete.send('PING\r\n*1\r\n$4\r\nPI');
    expect(await incomplete.rest()).toBe('+PONG\r\n');
    notReading.socket.pause();
    notReading.send(Buffer.concat(Array.from({ length: 5000 }, () => request('GET', 'large'))));
    await until('the connection that is not read is closed', async () =>
      (await metric('connections')) === 2 ? true : undefined,
    );
    await idle.send('PING\r\n').expect('+PONG\r\n');
  });

  it('rejects connections beyond PROXY_MAX_CONNECTIONS, over HTTP and the Redis protocol together', async () => {
    const settings = { REDIS_URL: redis.url, PROXY_THREADS: 1, RESP_PORT: 0, PROXY_MAX_CONNECTIONS: 2 };
    // Started without a readiness request, whose connection might still count as one of the two.
    proxy = await TestProxy.start(settings, '/', false);
    const [first, second] = [await open(), await open()];
    await first.send('PING\r\n').expect('+PONG\r\n');
    await second.send('PING\r\n').expect('+PONG\r\n');
    expect(await (await open()).rest()).toBe('-ERR max number of clients reached\r\n');
    expect((await proxy.key('key')).status).toBe(503);
    first.socket.destroy();
    await until('a connection is accepted again', async () =>
      (await proxy.key('key')).status === 200 ? true : undefined,
    );
  });

  it('drains on SIGTERM: completes in-flight requests, closes idle connections and exits with status 0', async () => {
    await start({ REDIS_COMMAND_TIMEOUT_MS: 20_000, PROXY_THREADS: 2, SHUTDOWN_GRACE_MS: 60_000 });
    const [idle, waiting, incomplete] = [await open(), await open(), await open()];
    await idle.send('PING\r\n').expect('+PONG\r\n');
    incomplete.send('*1\r\n$4\r\nPI');
    redis.server?.signal('SIGSTOP');
    waiting.send(request('GET', 'other'), 'PING\r\n');
    await loadInFlight();
    proxy.child?.signal('SIGTERM');
    await idle.closed;
    await incomplete.closed;
    redis.server?.signal('SIGCONT');
    expect(await waiting.rest()).toBe('$6\r\nsecond\r\n+PONG\r\n');
    expect(await proxy.child?.exit).toBe(0);
  });

  it('requires ACCESS_TOKEN if it is set, and rejects keys that KEY_ALLOWLIST does not match', async () => {
    await start({ ACCESS_TOKEN: 'open-sesame,second', KEY_ALLOWLIST: 'k*' });
    const client = await open();
    const refused = '-NOAUTH Authentication required.\r\n';
    await client.send(request('GET', 'key'), request('SET', 'a', 'b'), 'PING\r\n').expect(refused.repeat(3));
    await client.send('HELLO 3\r\n').expect('-NOAUTH HELLO must be called');
    const wrong = '-WRONGPASS invalid username-password pair or user is disabled.\r\n';
    const other = await open();
    await other.send('AUTH wrong\r\n', 'AUTH bob open-sesame\r\n', 'AUTH second\r\n').expect(`${wrong}${wrong}+OK\r\n`);
    await other
      .send(request('GET', 'key'), request('GET', 'other'))
      .expect('$5\r\nvalue\r\n-NOPERM No permissions to access a key\r\n');
    await other.send(request('MGET', 'key', 'other')).expect('-NOPERM No permissions to access a key\r\n');
    await other.send('RESET\r\n', request('GET', 'key')).expect(`+RESET\r\n${refused}`);
    const large = await open();
    large.send('*11\r\n');
    expect(await large.rest()).toBe('-ERR Protocol error: unauthenticated multibulk length\r\n');
    expect(proxy.child?.output).not.toContain('sesame');
  });

  it('rejects keys over 64 KiB, write commands and other databases', async () => {
    redis.client.disconnect();
    await start({ REDIS_URL: redis.url.replace(/0$/, '3') });
    const client = await open();
    await client.send(request('GET', 'k'.repeat(65_537))).expect('-ERR key exceeds 65536 bytes\r\n');
    await client.send(request('GET', 'k'.repeat(65_536))).expect('$-1\r\n');
    await client.send(request('SET', 'a', 'b')).expect("-READONLY You can't write against a read only replica.\r\n");
    await client.send(request('SELECT', '3')).expect('+OK\r\n');
    await client
      .send(request('SELECT', '0'))
      .expect('-ERR DB index is out of range: this proxy serves database 3 only\r\n');
  });

  it('accepts connections in every thread and loads a key only once', async () => {
    await start({ PROXY_THREADS: 3 });
    const clients = await Promise.all(Array.from({ length: 30 }, open));
    await Promise.all(clients.map((client) => client.send(request('GET', 'key')).expect('$5\r\nvalue\r\n')));
    // Each thread reads the probe's key once when it connects.
    await eventually(() => redis.calls('get'), 1 + 3);
    const ids = await Promise.all(
      clients.map(async (client) => {
        client.send(request('CLIENT', 'ID'));
        return until('the id', () => /^:(\d+)\r\n$/.exec(client.received)?.[1]);
      }),
    );
    expect(new Set(ids).size).toBe(30);
  });

  it('serialises requests of all connections, HTTP included, in sequential mode', async () => {
    await start({ PROXY_MODE: 'sequential', REDIS_COMMAND_TIMEOUT_MS: 20_000 });
    const [first, second] = [await open(), await open()];
    await first.send(request('GET', 'key')).expect('$5\r\nvalue\r\n');
    redis.server?.signal('SIGSTOP');
    first.send(request('GET', 'other'), request('GET', 'none'));
    await loadInFlight();
    let httpDone = false;
    const http = proxy.key('key').then(({ text }) => {
      httpDone = true;
      return text;
    });
    await delay(100);
    second.send(request('GET', 'key'), 'PING\r\n');
    await delay(100);
    // All of them are hits, except the first.
    expect([first.received, second.received, httpDone]).toEqual(['', '', false]);
    redis.server?.signal('SIGCONT');
    await first.expect('$6\r\nsecond\r\n$-1\r\n');
    await second.expect('$5\r\nvalue\r\n+PONG\r\n');
    expect(await http).toBe('value');
  });

  it('skips the queued request of a client that has disconnected, in sequential mode', async () => {
    await start({ PROXY_MODE: 'sequential', REDIS_COMMAND_TIMEOUT_MS: 20_000 });
    const [first, second, third] = [await open(), await open(), await open()];
    await first.send(request('GET', 'key')).expect('$5\r\nvalue\r\n');
    redis.server?.signal('SIGSTOP');
    first.send(request('GET', 'other'));
    await loadInFlight();
    second.send('PING\r\n');
    third.send('PING\r\n');
    await delay(100);
    expect([second.received, third.received]).toEqual(['', '']);
    second.socket.destroy();
    redis.server?.signal('SIGCONT');
    await third.expect('+PONG\r\n');
  });

  it('is disabled by an empty RESP_PORT; a port that is in use fails the start with an error that names RESP_PORT', async () => {
    await start({ RESP_PORT: '' });
    expect(proxy.child?.output).not.toContain('Redis protocol');
    const occupied = createServer().listen(0, '127.0.0.1');
    await once(occupied, 'listening');
    const { port } = occupied.address() as { port: number };
    const child = launch({ REDIS_URL: redis.url, RESP_PORT: port });
    expect(await child.exit).toBe(1);
    expect(child.errors).toMatch(new RegExp(`^HTTP_HOST, RESP_PORT: .*EADDRINUSE.*${port}\n$`));
    occupied.close();
    const same = await freePort();
    const confused = launch({ REDIS_URL: redis.url, RESP_PORT: same, HTTP_PORT: same });
    expect(await confused.exit).toBe(1);
    expect(confused.errors).toBe(`RESP_PORT: ${same} is the HTTP port; expected another port\n`);
  });
});

describeOwn('a connection of the Redis protocol', () => {
  let client: RespSocket;

  beforeAll(async () => {
    await startRedis();
    // Requests sent before the invalid one are always misses.
    await start({ CACHE_TTL_MS: 1 });
  });
  beforeEach(async () => {
    client = await open();
  });
  afterEach(closeSockets);
  afterAll(stop);

  it.each<[what: string, bytes: string, last: string]>([
    ['an invalid count', '*x\r\n', '-ERR Protocol error: invalid multibulk length\r\n'],
    ['a missing type byte', '*2\r\nGET\r\n', "-ERR Protocol error: expected '$', got 'G'\r\n"],
    ['an invalid length', '*1\r\n$-5\r\n', '-ERR Protocol error: invalid bulk length\r\n'],
    ['an unbalanced quote', 'GET "x\r\n', '-ERR Protocol error: unbalanced quotes in request\r\n'],
    ['an overlong line', 'x'.repeat(70_000), '-ERR Protocol error: too big inline request\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00', '-ERR Protocol error: this port does not use TLS\r\n'],
    ['POST', 'POST / HTTP/1.1\r\nHost: x\r\n\r\n', ''],
    ['Host:', 'Host: x\r\nPING\r\n', ''],
  ])('closes after %s, once earlier requests have been replied to', async (_what, bytes, last) => {
    client.send(request('GET', 'other'), request('GET', 'none'), 'PING\r\n');
    if (last === '') await client.expect('$6\r\nsecond\r\n$-1\r\n+PONG\r\n');
    client.send(bytes, 'PING\r\n');
    expect(await client.rest()).toBe(last === '' ? '' : `$6\r\nsecond\r\n$-1\r\n+PONG\r\n${last}`);
  });
});
