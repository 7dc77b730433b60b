import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { residentBytes } from '../../bench/processes.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const MiB = 2 ** 20;
/** Maximum length of a value in Redis. */
const MAX_VALUE_BYTES = 512 * MiB;

describeOwn('values of 512 MiB', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    const settings = { PROXY_THREADS: 2, RESP_PORT: 0, REDIS_COMMAND_TIMEOUT_MS: 60_000, CACHE_TTL_MS: 3_600_000 };
    proxy = await TestProxy.start({ REDIS_URL: redis.url, ...settings });
    await redis.client.mset('held', 'value of held', 'cold', 'value of cold');
    for (const key of ['longest-0', 'longest-1']) await redis.client.setrange(key, MAX_VALUE_BYTES - 1, 'x');
    await proxy.key('held');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  it('respond with 502 value-too-large, several concurrently, without delaying other reads or using memory', async () => {
    const { pid = 0 } = proxy.child?.process ?? {};
    const before = residentBytes(pid);
    const load = new SteadyLoad(proxy, ['held'], 1, ({ status, text }) => `${status} ${text}`);
    const responses = await Promise.all(['longest-0', 'longest-1', 'longest-0', 'cold'].map((key) => proxy.key(key)));
    const after = residentBytes(pid);
    await load.stop();
    expect(responses.map((response) => (response.status === 200 ? 200 : response.json.code))).toEqual([
      ...['value-too-large', 'value-too-large', 'value-too-large'],
      200,
    ]);
    expect([...load.outcomes.keys()]).toEqual(['200 value of held']);
    expect([...load.failures]).toEqual([]);
    expect(after - before).toBeLessThan(MAX_VALUE_BYTES / 2);
    expect(proxy.log().filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
  });

  it('reply with an error over the Redis protocol, and the connection stays open', async () => {
    const client = await RespSocket.open(respPort(proxy));
    client.send(request('GET', 'longest-0'), request('GET', 'held'));
    await client.expect('-ERR value exceeds REDIS_MAX_VALUE_BYTES\r\n$13\r\nvalue of held\r\n');
    client.socket.destroy();
  });

  it('are not remembered: a key is served again once its value is shorter', async () => {
    await redis.client.set('longest-1', 'short');
    expect((await proxy.key('longest-1')).text).toBe('short');
  });
});
