import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { Child, until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { redisClient } from '../support/redis-client.ts';
import { TestRedis } from '../support/redis.ts';

/** A name that never resolves (RFC 6761). */
const NAME = 'redis.invalid';

let directory: string;
let hosts: string;
let redis: TestRedis;
let proxy: TestProxy;

const resolveTo = (address: string): void => writeFileSync(hosts, `${address} ${NAME}\n`);
const until200 = (key: string): Promise<string> =>
  until('the value', async () => {
    const { status, text } = await proxy.key(key);
    expect([200, 503]).toContain(status);
    return status === 200 ? text : undefined;
  });
const logged = (pattern: RegExp): Promise<true> =>
  until(`a log line ${pattern}`, () => pattern.test(proxy.child?.output ?? '') || undefined);

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'test-names-'));
  hosts = join(directory, 'hosts');
  writeFileSync(hosts, '');
  redis = await TestRedis.start();
  await redis.client.set('key', 'value');
});
afterEach(async () => {
  await proxy.stop();
  await redis.stop();
  rmSync(directory, { recursive: true });
});

const start = (): Promise<TestProxy> => {
  const settings = { TEST_HOSTS_FILE: hosts, PROXY_THREADS: 2, CACHE_TTL_MS: 3_600_000 };
  return TestProxy.start({ REDIS_URL: `redis://${NAME}:${redis.port}`, ...settings }, '/', false);
};

describeOwn('a host name of Redis', () => {
  it('that does not resolve is logged, and keys that are not cached get 503 until it resolves', async () => {
    proxy = await start();
    expect((await proxy.get('/health/live')).status).toBe(200);
    expect((await proxy.key('key')).json.code).toBe('redis-unavailable');
    await logged(/not reachable \((?:ENOTFOUND|EAI_AGAIN)\)/);
    resolveTo('127.0.0.1');
    expect(await until200('key')).toBe('value');
    await logged(/Redis is reachable/);
  });

  it('is resolved for each new connection, and may then have another address', async () => {
    resolveTo('127.0.0.1');
    proxy = await start();
    expect(await until200('key')).toBe('value');
    const args = ['--port', String(redis.port), '--bind', '127.0.0.2', '--save', ''];
    const moved = new Child('redis-server', args, { env: process.env });
    const client = redisClient({ host: '127.0.0.2', port: redis.port });
    try {
      await client.set('other', 'value there');
      writeFileSync(hosts, '');
      await redis.server?.stop('SIGKILL');
      expect((await proxy.key('key')).text).toBe('value');
      await until('the other key is 503', async () => (await proxy.key('other')).status === 503 || undefined);
      resolveTo('127.0.0.2');
      expect(await until200('other')).toBe('value there');
      expect((await proxy.key('key')).text).toBe('value');
    } finally {
      client.disconnect();
      await moved.stop('SIGKILL');
    }
  });
});
