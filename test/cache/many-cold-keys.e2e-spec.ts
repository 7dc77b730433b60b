import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { WellBehavedClient } from '../support/well-behaved-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const MiB = 1024 * 1024;
const KEYS = Array.from({ length: 400 }, (_, i) => `cold${i}`);
/** Allowance for the response limit, its rendering, and garbage that is not collected yet. */
const GROWTH_MIB = 250;

describeOwn('a request for many large uncached values', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let wellBehaved: WellBehavedClient;

  beforeEach(async () => {
    redis = await TestRedis.start();
    const value = Buffer.alloc(MiB, 'x');
    for (const key of KEYS) await redis.client.set(key, value);
    await redis.client.set('hit', 'value');
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      REDIS_COMMAND_TIMEOUT_MS: 30_000,
      // The cache must not be part of the measured memory.
      CACHE_MAX_VALUE_BYTES: 1000,
    });
    await proxy.key('hit');
    wellBehaved = await WellBehavedClient.start(proxy, 'hit');
  });
  afterEach(async () => {
    await wellBehaved.stop();
    await proxy.stop();
    await redis.stop();
  });

  it('needs no more memory than its response, over HTTP', async () => {
    const { json } = await proxy.ask('/v1/mget', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ keys: KEYS }),
    });
    const results = json.results as { status: number; code?: string }[];
    const given = results.filter(({ status }) => status === 200).length;
    expect(given).toBe(15);
    expect(results.slice(0, given).every(({ status }) => status === 200)).toBe(true);
    expect(results.slice(given).every(({ code }) => code === 'answer-too-large')).toBe(true);
    expect((await wellBehaved.stop()).grownMiB).toBeLessThan(GROWTH_MIB);
  });

  it('needs no more memory than its reply, over the Redis protocol', async () => {
    const client = await RespSocket.open(respPort(proxy));
    client.send(request('MGET', ...KEYS));
    await client.expect('-ERR values exceed the size limit of one reply: request fewer keys\r\n');
    client.socket.destroy();
    expect((await wellBehaved.stop()).grownMiB).toBeLessThan(GROWTH_MIB);
  });
});
