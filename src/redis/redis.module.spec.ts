import { afterEach, describe, expect, it } from '@jest/globals';
import { Test, type TestingModule } from '@nestjs/testing';
import { configModule } from '../config/config.module.ts';
import { loadSettings } from '../config/load-settings.ts';
import { ClusterReader } from './cluster/cluster-reader.ts';
import { RedisConnection } from './connection/redis-connection.ts';
import { RedisModule } from './redis.module.ts';
import { RedisReader } from './redis-reader.ts';
import { ReplicaReader } from './replicas/replica-reader.ts';

/** Port 1 of the loopback interface refuses connections. */
const UNREACHABLE = '127.0.0.1:1';

const builderOf = (environment: Readonly<Record<string, string>>) =>
  Test.createTestingModule({ imports: [configModule(loadSettings(environment, '/nowhere')), RedisModule] });

describe('RedisModule', () => {
  let module: TestingModule;
  afterEach(() => module.close());

  it.each([
    ['one connection without a cluster', { REDIS_URL: `redis://${UNREACHABLE}` }, RedisConnection],
    [
      'a reader of the selected replica with sentinels',
      {
        REDIS_MODE: 'sentinel',
        REDIS_NODES: UNREACHABLE,
        REDIS_SENTINEL_NAME: 'main',
        REDIS_READ_FROM: 'prefer-replica',
      },
      ReplicaReader,
    ],
    ['a reader of all masters of a cluster', { REDIS_MODE: 'cluster', REDIS_NODES: UNREACHABLE }, ClusterReader],
  ])('exports %s', async (_, environment, type) => {
    module = await builderOf(environment).compile();
    expect(module.get(RedisReader)).toBeInstanceOf(type);
  });

  it('initialises and closes although Redis is unreachable', async () => {
    // The module waits for the first attempt to connect, but only as long as that.
    const settings = { REDIS_URL: `redis://${UNREACHABLE}`, REDIS_CONNECT_TIMEOUT_MS: '60000' };
    module = await builderOf(settings).compile();
    const states: unknown[] = [];
    module.get(RedisReader).watch((state) => states.push(state));
    await module.init();
    expect(states).toEqual([{ reachable: false, reason: 'ECONNREFUSED' }]);
  });

  it('connects the reader when it is initialised, waits for it, and closes it on shutdown', async () => {
    const events: string[] = [];
    const fake = {
      connect: async () => {
        events.push('connect');
        await Promise.resolve();
        events.push('connected');
      },
      watch: () => undefined,
      close: () => events.push('close'),
    };
    module = await builderOf({}).overrideProvider(RedisReader).useValue(fake).compile();
    expect(events).toEqual([]);
    await module.init();
    expect(events).toEqual(['connect', 'connected']);
    await module.close();
    expect(events).toEqual(['connect', 'connected', 'close']);
  });
});
