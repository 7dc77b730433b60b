import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeOwn } from './support/only-own.ts';
import { until } from './support/processes.ts';
import { TestProxy } from './support/proxy.ts';
import { TestRedis } from './support/redis.ts';
import { RespSocket, request, respPort } from './support/resp.ts';

describeOwn('clients of the Redis protocol that mean no good', () => {
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

  const residentMiB = async (): Promise<number> => {
    const status = await readFile(`/proc/${proxy.child?.process.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
  };

  it.each(['ECHO', 'PING'])(
    'get back what they have sent themselves by %s, though it waits while others send',
    async (name) => {
      const [one, other] = [await open(), await open()];
      redis.server?.signal('SIGSTOP');
      const own = 'a'.repeat(40_000);
      one.send(request('PTTL', 'nobody'), request(name, own));
      await until('the request is under way', async () =>
        /loads_in_flight 1$/m.test((await proxy.get('/metrics')).text) ? true : undefined,
      );
      for (let i = 0; i < 5; i++) other.send(request('ECHO', 'b'.repeat(60_000)));
      await other.expect(`$60000\r\n${'b'.repeat(60_000)}\r\n`.repeat(5));
      redis.server?.signal('SIGCONT');
      await one.expect(`:-2\r\n$40000\r\n${own}\r\n`);
    },
  );

  it('hold up nobody by patterns of CONFIG GET that are long, or can match in many ways', async () => {
    const [one, other] = [await open(), await open()];
    for (const pattern of ['*'.repeat(70_000), '{a,b}'.repeat(20), '{1..2000000}', '*a'.repeat(30), '[', '\\', 'a,b']) {
      const start = performance.now();
      one.send(request('CONFIG', 'GET', pattern));
      await one.expect('*0\r\n');
      other.send(request('PING'));
      await other.expect('+PONG\r\n');
      expect(performance.now() - start).toBeLessThan(2000);
    }
    one.send(request('CONFIG', 'GET', 'SAV?'), request('config', 'get', 'maxmem*y'));
    await one.expect('*2\r\n$4\r\nsave\r\n');
  });

  it('take no more memory by many names of large values than a few of them', async () => {
    await redis.client.set('large', 'x'.repeat(1_000_000));
    const one = await open();
    one.send(request('GET', 'large'));
    await one.expect(`$1000000\r\n${'x'.repeat(1_000_000)}\r\n`);
    const before = await residentMiB();
    one.send(request('EXISTS', ...Array.from({ length: 1000 }, () => 'large')));
    await one.expect(':1000\r\n');
    one.send(request('MGET', ...Array.from({ length: 1000 }, () => 'large')));
    await one.expect('-ERR the values are too many bytes for one reply: ask for fewer keys at once\r\n');
    expect(await residentMiB()).toBeLessThan(before + 400);
  });

  it('name no more keys in a line than in an array', async () => {
    const one = await open();
    one.send(`EXISTS ${'k '.repeat(2000)}\r\n`);
    await one.expect('-ERR Protocol error: invalid multibulk length\r\n');
    await one.closed;
  });
});
