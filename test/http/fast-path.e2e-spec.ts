import { type Socket, connect } from 'node:net';
import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { exchange } from '../support/http-client.ts';
import { drainResponse } from '../support/drain.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const request = (key: string, ...headers: string[]): string =>
  [`GET /v1/keys/${key} HTTP/1.1`, 'Host: x', ...headers, '\r\n'].join('\r\n');
const CLOSE = 'Connection: close';
/** Returns the values in the responses. */
const valuesIn = (text: string): string[] => [...text.matchAll(/\r\n\r\n(value of \w+)\./g)].map(([, value]) => value);

describeOwn('plain requests for keys', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeEach(async () => {
    redis = await TestRedis.start();
  });
  afterEach(async () => {
    redis.server?.signal('SIGCONT');
    await proxy.stop();
    await redis.stop();
  });

  const start = async (settings = {}): Promise<TestProxy> =>
    (proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1, ...settings }));

  it('are served in order when pipelined with misses and with requests for node:http', async () => {
    const keys = Array.from({ length: 400 }, (_, i) => `k${i}`);
    await redis.client.mset(Object.fromEntries(keys.map((key) => [key, `value of ${key}.`])));
    await start();
    for (const key of keys.slice(0, 100)) await proxy.key(key);
    const shuffled = keys.map((_, i) => keys[(i * 171) % keys.length]);
    const odd = shuffled.map((key, i) => request(i % 50 === 49 ? `${key}?odd` : key));
    const received = await exchange(proxy.url, `${odd.join('')}${request('k0', CLOSE)}`);
    expect(valuesIn(received)).toEqual([...shuffled, 'k0'].map((key) => `value of ${key}`));
  });

  it('are processed while a previous one waits for Redis, and answered after it', async () => {
    await redis.client.mset({ hit: 'value of hit.', slow: 'value of slow.', late: 'value of late.' });
    await start({ REDIS_COMMAND_TIMEOUT_MS: 10_000 });
    await proxy.key('hit');
    redis.server?.signal('SIGSTOP');
    const received = exchange(
      proxy.url,
      `${request('hit')}${request('slow')}${request('hit')}${request('late')}${request('hit', CLOSE)}`,
    );
    await until('two loads in flight', async () =>
      /loads_in_flight 2$/m.test((await proxy.get('/metrics')).text) ? true : undefined,
    );
    redis.server?.signal('SIGCONT');
    expect(valuesIn(await received)).toEqual(['hit', 'slow', 'hit', 'late', 'hit'].map((key) => `value of ${key}`));
  });

  it('are served after the client has half-closed the connection', async () => {
    await redis.client.set('key', 'value of key.');
    await start();
    for (const path of ['key', 'key', 'key?odd']) {
      const response = new Promise<string>((resolve, reject) => {
        let text = '';
        const socket = connect({ port: Number(new URL(proxy.url).port), allowHalfOpen: true });
        socket.end(request('absent') + request(path));
        socket.setEncoding('latin1').on('data', (part: string) => (text += part));
        socket.on('error', reject).on('end', () => resolve(text));
      });
      expect(valuesIn(await response)).toEqual(['value of key']);
    }
  });

  it('are served when they arrive byte by byte', async () => {
    await redis.client.set('key', 'value of key.');
    await start();
    const socket = connect({ port: Number(new URL(proxy.url).port), noDelay: true });
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => (text += part));
    for (const byte of request('key') + request('key', CLOSE)) {
      socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => socket.once('close', resolve));
    expect(valuesIn(text)).toEqual(['value of key', 'value of key']);
  });

  it('are not read from a client that does not read, whose connection is closed after the time-out', async () => {
    const [small, large] = [10_000, 500_000];
    await redis.client.mset({ small: 'a'.repeat(small), large: 'b'.repeat(large) });
    await start({ HTTP_REQUEST_TIMEOUT_MS: 1000, HTTP_HEADERS_TIMEOUT_MS: 1000, REDIS_COMMAND_TIMEOUT_MS: 300 });
    for (const key of ['small', 'large']) {
      await until('it is held', async () => (await proxy.key(key)).status === 200 || undefined);
      const before = await residentBytes(proxy);
      const sockets = Array.from({ length: 8 }, () => neverReading(proxy, request(key).repeat(3000)));
      const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
      // All responses together would be hundreds of megabytes.
      await until('all are cut off', async () => {
        expect(await residentBytes(proxy)).toBeLessThan(before + 150e6);
        return /^redis_http_cache_proxy_connections 1$/m.test((await proxy.get('/metrics')).text) ? true : undefined;
      });
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
      expect((await proxy.key(key)).status).toBe(200);
    }
  });

  it('in flight on shutdown are served, the last one with Connection: close', async () => {
    await redis.client.mset({ one: 'value of one.', two: 'value of two.' });
    await start({ REDIS_COMMAND_TIMEOUT_MS: 10_000 });
    redis.server?.signal('SIGSTOP');
    const received = exchange(proxy.url, request('one') + request('two'));
    await until('two loads in flight', async () =>
      /loads_in_flight 2$/m.test((await proxy.get('/metrics')).text) ? true : undefined,
    );
    // The log line confirms the signal only; this waits until the worker is draining.
    await drainResponse(proxy);
    redis.server?.signal('SIGCONT');
    const text = await received;
    expect(valuesIn(text)).toEqual(['value of one', 'value of two']);
    expect([...text.matchAll(/Connection: (\S+)/g)].map(([, connection]) => connection)).toEqual([
      'keep-alive',
      'close',
    ]);
    expect(await proxy.child?.exit).toBe(0);
  });
});

/** A client that sends as much as possible and reads nothing. */
function neverReading(proxy: TestProxy, bytes: string): Socket {
  const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(bytes);
  return socket;
}

async function residentBytes(proxy: TestProxy): Promise<number> {
  const status = await readFile(`/proc/${proxy.child?.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}
