import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const THREADS = 2;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describeOwn('tokens in files are rotated while the proxy runs', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let directory: string;
  let sockets: RespSocket[];

  beforeEach(async () => {
    sockets = [];
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
    directory = mkdtempSync(join(tmpdir(), 'tokens-'));
    write('access', 'first-reader');
    write('admin', 'first-admin\n');
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: THREADS,
      ACCESS_TOKEN_FILE: join(directory, 'access'),
      ADMIN_TOKEN_FILE: join(directory, 'admin'),
    });
  });
  afterEach(async () => {
    for (const { socket } of sockets) socket.destroy();
    await proxy.stop();
    await redis.stop();
    rmSync(directory, { recursive: true });
  });

  function write(name: string, text: string): void {
    writeFileSync(join(directory, `${name}.new`), text);
    renameSync(join(directory, `${name}.new`), join(directory, name));
  }

  async function open(): Promise<RespSocket> {
    const socket = await RespSocket.open(respPort(proxy));
    sockets.push(socket);
    return socket;
  }

  /** Waits until the threads behind many consecutive new connections all agree. */
  async function untilAllRespond(status: number, read: () => Promise<{ readonly status: number }>): Promise<void> {
    await until(`all threads say ${status}`, async () => {
      const responses = await Promise.all(Array.from({ length: 24 }, read));
      return responses.every((response) => response.status === status) || undefined;
    });
  }

  const plain = (token: string) => () => proxy.key('key', bearer(token));
  // A Content-Length, even of 0, bypasses the fast path.
  const viaNode = (token: string) => () => proxy.get('/v1/keys/key', { ...bearer(token), 'content-length': '0' });
  const batch = (token: string) => () =>
    proxy.request('/v1/mget', {
      method: 'POST',
      body: '{"keys":["key"]}',
      headers: { ...bearer(token), 'content-type': 'application/json' },
    });
  const stats = (token: string) => () => proxy.get('/v1/cache', bearer(token));

  it('by all threads, on the fast path and node:http, in batches, and in the admin API', async () => {
    write('access', 'first-reader,second-reader');
    write('admin', 'second-admin');
    for (const read of [plain, viaNode, batch]) await untilAllRespond(200, read('second-reader'));
    for (const read of [plain, viaNode, batch]) await untilAllRespond(200, read('first-reader'));
    await untilAllRespond(200, stats('second-admin'));
    await untilAllRespond(401, stats('first-admin'));
    write('access', 'second-reader');
    for (const read of [plain, viaNode, batch]) await untilAllRespond(401, read('first-reader'));
    for (const read of [plain, viaNode, batch]) await untilAllRespond(200, read('second-reader'));
  });

  it('and connections of the Redis protocol with a revoked token are closed', async () => {
    const [one, other] = [await open(), await open()];
    one.send(request('AUTH', 'first-reader'));
    await one.expect('+OK\r\n');
    write('access', 'first-reader,second-reader');
    await untilAllRespond(200, plain('second-reader'));
    other.send(request('HELLO', '3', 'AUTH', 'default', 'second-reader'));
    await other.until('$7\r\nmodules\r\n*0\r\n');
    one.send(request('GET', 'key'));
    await one.expect('$5\r\nvalue\r\n');
    write('access', 'second-reader');
    await one.closed;
    other.send(request('GET', 'key'));
    await other.expect('$5\r\nvalue\r\n');
    const reconnected = await open();
    reconnected.send(request('AUTH', 'first-reader'), request('AUTH', 'second-reader'));
    await reconnected.expect('-WRONGPASS invalid username-password pair or user is disabled.\r\n+OK\r\n');
  });

  it('and by a restarted thread', async () => {
    write('access', 'second-reader');
    await untilAllRespond(401, plain('first-reader'));
    await proxy.inject(0, 'terminate');
    await until('another thread is there', async () => {
      // The request may reach the thread that crashes.
      const { text } = await proxy.get('/metrics').catch(() => ({ text: '' }));
      return /^redis_http_cache_proxy_thread_restarts_total 1$/m.test(text) || undefined;
    });
    await proxy.ready();
    await untilAllRespond(401, plain('first-reader'));
    await untilAllRespond(200, plain('second-reader'));
  });

  it('and an invalid file is logged, and changes nothing', async () => {
    write('access', '');
    rmSync(join(directory, 'admin'));
    for (const name of ['ACCESS_TOKEN_FILE', 'ADMIN_TOKEN_FILE']) {
      await until(`a warning about ${name}`, () => {
        const warns = ({ level, message }: Record<string, unknown>): boolean =>
          level === 'warn' && String(message).startsWith(name);
        return proxy.log().some(warns) || undefined;
      });
    }
    await untilAllRespond(200, plain('first-reader'));
    await untilAllRespond(401, () => proxy.key('key'));
    await untilAllRespond(401, plain(''));
    await untilAllRespond(200, stats('first-admin'));
    await untilAllRespond(401, stats(''));
    write('access', 'second-reader');
    await untilAllRespond(200, plain('second-reader'));
    expect(proxy.child?.output).not.toMatch(/first-|second-/);
  });
});
