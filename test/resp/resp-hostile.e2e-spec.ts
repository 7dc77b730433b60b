import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';
import { BUSY_MS } from '../support/stopwatch.ts';

describeOwn('hostile clients of the Redis protocol', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let sockets: RespSocket[];

  beforeEach(async () => {
    sockets = [];
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      REDIS_COMMAND_TIMEOUT_MS: 10_000,
    });
  });
  afterEach(async () => {
    for (const { socket } of sockets) socket.destroy();
    redis.server?.signal('SIGCONT');
    await proxy.stop();
    await redis.stop();
  });

  async function open(): Promise<RespSocket> {
    const socket = await RespSocket.open(respPort(proxy));
    sockets.push(socket);
    return socket;
  }

  /** Returns the proxy's resident memory in MiB: the current one (RSS) or its peak (HWM). */
  const residentMiB = async (which: 'RSS' | 'HWM' = 'RSS'): Promise<number> => {
    const status = await readFile(`/proc/${proxy.child?.process.pid}/status`, 'utf8');
    return Number(new RegExp(`Vm${which}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  };

  it.each(['ECHO', 'PING'])(
    'receive their own argument to %s, even if the reply waits while other clients send requests',
    async (name) => {
      const [one, other] = [await open(), await open()];
      redis.server?.signal('SIGSTOP');
      const own = 'a'.repeat(40_000);
      one.send(request('PTTL', 'nobody'), request(name, own));
      await until('the load is in flight', async () =>
        /loads_in_flight 1$/m.test((await proxy.get('/metrics')).text) ? true : undefined,
      );
      for (let i = 0; i < 5; i++) other.send(request('ECHO', 'b'.repeat(60_000)));
      await other.expect(`$60000\r\n${'b'.repeat(60_000)}\r\n`.repeat(5));
      redis.server?.signal('SIGCONT');
      await one.expect(`:-2\r\n$40000\r\n${own}\r\n`);
    },
  );

  it('cannot block other clients with expensive patterns for CONFIG GET', async () => {
    const [one, other] = [await open(), await open()];
    for (const pattern of ['*'.repeat(70_000), '{a,b}'.repeat(20), '{1..2000000}', '*a'.repeat(30), '[', '\\', 'a,b']) {
      const start = performance.now();
      one.send(request('CONFIG', 'GET', pattern));
      await one.expect('*0\r\n');
      other.send(request('PING'));
      await other.expect('+PONG\r\n');
      // Without limits these patterns take minutes.
      expect(performance.now() - start).toBeLessThan(2 * BUSY_MS);
    }
    one.send(request('CONFIG', 'GET', 'SAV?'), request('config', 'get', 'maxmem*y'));
    await one.expect('*2\r\n$4\r\nsave\r\n');
  });

  it('cannot exhaust memory with one command that names a large value many times', async () => {
    await redis.client.set('large', 'x'.repeat(1_000_000));
    const one = await open();
    one.send(request('GET', 'large'));
    await one.expect(`$1000000\r\n${'x'.repeat(1_000_000)}\r\n`);
    const before = await residentMiB();
    one.send(request('EXISTS', ...Array.from({ length: 1100 }, () => 'large')));
    await one.expect(':1100\r\n');
    one.send(request('MGET', ...Array.from({ length: 1100 }, () => 'large')));
    await one.expect('-ERR values exceed the size limit of one reply: request fewer keys\r\n');
    // All values together have 1050 MiB. Unused values are included until garbage collection, which may be late.
    expect(await residentMiB('HWM')).toBeLessThan(before + 700);
  });

  it.each<[what: string, bytes: string | Buffer, error: string]>([
    ['an inline command with too many keys', `EXISTS ${'k '.repeat(2000)}\r\n`, 'command exceeds 1100 arguments'],
    [
      'a command with too many keys',
      request('MGET', ...Array.from({ length: 20_000 }, (_, i) => `key:${i}`)),
      'command exceeds 1100 arguments',
    ],
    ['an argument of 20 MB', request('GET', 'x'.repeat(20_000_000)), 'argument exceeds 131072 bytes'],
    [
      'arguments of 20 MB in total',
      request('MGET', ...Array.from({ length: 200 }, () => 'x'.repeat(100_000))),
      'request exceeds 262144 bytes',
    ],
  ])('that send %s receive an error, and a reply to the next command', async (_what, bytes, error) => {
    await redis.client.set('small', 'value');
    const one = await open();
    one.send(request('GET', 'small'), bytes, request('GET', 'small'));
    await one.expect(`$5\r\nvalue\r\n-ERR ${error}\r\n$5\r\nvalue\r\n`);
  });

  it('cannot exhaust memory with requests that are too large', async () => {
    const one = await open();
    await one.send(request('PING')).expect('+PONG\r\n');
    const before = await residentMiB();
    for (let i = 0; i < 10; i++) {
      one.send(request('GET', 'x'.repeat(20_000_000)));
      await one.expect('-ERR argument exceeds 131072 bytes\r\n');
    }
    expect(await residentMiB()).toBeLessThan(before + 64);
  });
});
