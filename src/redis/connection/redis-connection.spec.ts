import { expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import { TestRedis } from '../../../test/support/redis.ts';
import { loadSettings } from '../../config/load-settings.ts';
import type { RedisState } from '../redis-reader.ts';
import { RedisConnection } from './redis-connection.ts';
import { redisOptions } from '../redis-options.ts';
import { Query } from '../query.ts';

it('reconnects after ioredis has stopped to, as it may during a failover', async () => {
  const redis = await TestRedis.start();
  const settings = loadSettings({ REDIS_URL: redis.url }, '/nowhere');
  const connection = new RedisConnection({ ...redisOptions(settings.redis), retryStrategy: () => null }, settings);
  let state: RedisState | undefined;
  connection.watch((now) => (state = now));
  try {
    await connection.connect();
    expect(state).toEqual({ reachable: true });
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until('the connection is lost', () => (state?.reachable === false ? true : undefined));
    await until('it is back', () => (state?.reachable === true ? true : undefined));
  } finally {
    connection.close();
    await redis.stop();
    await until('it has ended', () => (state?.reachable === false ? true : undefined));
  }
});

it('returns a TTL of 0 for reads after an ASK redirect, also for a missing key', async () => {
  const redis = await TestRedis.start();
  const settings = loadSettings({ REDIS_URL: redis.url }, '/nowhere');
  const connection = new RedisConnection(redisOptions(settings.redis), settings);
  let state: RedisState | undefined;
  connection.watch((now) => (state = now));
  try {
    await connection.connect();
    await redis.client.set('key', 'value');
    expect(await connection.fetchAsking(Query.get(Buffer.from('key')))).toEqual({
      kind: 'value',
      value: Buffer.from('value'),
      ttlMs: 0,
    });
    expect(await connection.fetchAsking(Query.get(Buffer.from('nobody')))).toEqual({ kind: 'missing', ttlMs: 0 });
    await redis.client.hset('hash', 'field', 'value');
    const hget = (key: string, field: string): Query =>
      Query.of(Buffer.from(key), [Buffer.from('HGET'), Buffer.from(field)]);
    expect(await connection.fetchAsking(hget('hash', 'field'))).toEqual({
      kind: 'value',
      value: Buffer.from('$5\r\nvalue\r\n'),
      ttlMs: 0,
    });
    const nil = Buffer.from('$-1\r\n');
    expect(await connection.fetchAsking(hget('hash', 'nothing'))).toEqual({ kind: 'value', value: nil, ttlMs: 0 });
    expect(await connection.fetchAsking(hget('nobody', 'field'))).toEqual({ kind: 'missing', reply: nil, ttlMs: 0 });
    expect(await connection.fetchAsking(hget('key', 'field'))).toEqual({
      kind: 'error-reply',
      message: 'WRONGTYPE Operation against a key holding the wrong kind of value',
    });
  } finally {
    connection.close();
    await redis.stop();
    await until('it has ended', () => (state?.reachable === false ? true : undefined));
  }
});
