import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

let directory: string;
let socket: string;
let redis: TestRedis;
let proxy: TestProxy | undefined;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'test-socket-'));
  socket = join(directory, 'redis @.sock');
  redis = await TestRedis.start('--unixsocket', socket);
  await redis.client.config('SET', 'requirepass', 'p@ss');
});
afterEach(async () => {
  await proxy?.stop();
  await redis.stop();
  rmSync(directory, { recursive: true });
  proxy = undefined;
});

describeOwn('a Redis behind a Unix socket', () => {
  it('is read and tracked in the database of REDIS_URL, and is reached again after a restart', async () => {
    await redis.client.select(3);
    await redis.client.set('key', 'old');
    const url = `unix://:p%40ss@${socket.replace(' ', '%20')}?db=3`;
    proxy = await TestProxy.start({ REDIS_URL: url, PROXY_THREADS: 1, CACHE_COHERENCE: 'tracking' });
    const read = async () => (await proxy?.key('key'))?.text;
    await until('it tracks', () => /tracking active/.test(proxy?.child?.output ?? '') || undefined);
    expect(await read()).toBe('old');
    await redis.client.set('key', 'new');
    await until('the new value', async () => (await read()) === 'new' || undefined);
    const ready = await proxy.get('/health/ready');
    expect(ready.status).toBe(200);
    expect((await redis.client.client('LIST')) as string).toContain(`${socket}:0`);
    await redis.server?.stop('SIGKILL');
    // The socket is still there, but nobody listens.
    await until('it is unreachable', () => /not reachable \((?:ECONNREFUSED|ENOENT)\)/.test(output()) || undefined);
    redis = await redis.restart();
    await redis.client.select(3);
    await redis.client.set('key', 'restarted');
    await until('the value after the restart', async () => (await read()) === 'restarted' || undefined);
    expect(output()).not.toContain('p@ss');
  });

  it('that does not exist is logged, and its keys are 503', async () => {
    proxy = await TestProxy.start({ REDIS_URL: `unix://${directory}/none`, PROXY_THREADS: 1 }, '/', false);
    await until('the cause', () => /not reachable \(ENOENT\)/.test(output()) || undefined);
    const { status, json } = await sendRequest(proxy.url, '/v1/keys/key');
    expect([status, json.code]).toEqual([503, 'redis-unavailable']);
  });

  const output = (): string => proxy?.child?.output ?? '';
});
