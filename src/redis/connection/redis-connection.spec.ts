import { type AddressInfo, createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import { PATIENT_TIMEOUTS, TestRedis } from '../../../test/support/redis.ts';
import { loadSettings } from '../../config/load-settings.ts';
import type { RedisState } from '../redis-reader.ts';
import { probeRedisBatches } from '../ioredis-internals/probe.ts';
import { redisBatches } from '../ioredis-internals/redis-batches.ts';
import { RedisConnection } from './redis-connection.ts';
import { redisOptions } from '../redis-options.ts';
import { Query } from '../query.ts';
import type { RedisReply } from '../redis-reply.ts';
import { UNLIMITED_MEMORY, type ValueMemory } from './value-memory.ts';

/** More than a chunk of a socket. */
const MAX_VALUE_BYTES = 200_000;

it('reconnects after ioredis has stopped to, as it may during a failover', async () => {
  const redis = await TestRedis.start();
  const settings = loadSettings({ REDIS_URL: redis.url, ...PATIENT_TIMEOUTS }, '/nowhere');
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

it('finds the master again by the sentinel that has named it before, without the report that no sentinel does', async () => {
  const redis = await TestRedis.start();
  const replyTo = (command: string): string => {
    const { port } = redis;
    if (command.includes('get-master-addr-by-name'))
      return `*2\r\n$9\r\n127.0.0.1\r\n$${String(port).length}\r\n${port}\r\n`;
    return command.includes('sentinels') ? '*0\r\n' : '-ERR unknown command\r\n';
  };
  const sentinel = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      const [, ...commands] = data.toString().split(/\*\d+\r\n/);
      socket.write(commands.map(replyTo).join(''));
    });
  });
  await new Promise<void>((resolve) => sentinel.listen(0, '127.0.0.1', resolve));
  const REDIS_NODES = `127.0.0.1:${(sentinel.address() as AddressInfo).port}`;
  const settings = loadSettings({ REDIS_MODE: 'sentinel', REDIS_NODES, REDIS_SENTINEL_NAME: 'main' }, '/nowhere');
  const connection = new RedisConnection(redisOptions(settings.redis), settings);
  const states: RedisState[] = [];
  connection.watch((now) => states.push(now));
  const untilReachable = (reachable: boolean) =>
    until('its state changes', () => states.at(-1)?.reachable === reachable || undefined);
  try {
    await connection.connect();
    for (let losses = 0; losses < 2; losses++) {
      await untilReachable(true);
      states.length = 0;
      await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await until('the connection is lost', () => states.length > 0 || undefined);
      await untilReachable(true);
      expect(states).not.toContainEqual({ reachable: false, reason: 'no sentinel knows the master' });
    }
  } finally {
    connection.close();
    await redis.stop();
    await untilReachable(false);
    await new Promise((resolve) => sentinel.close(resolve));
  }
});

describe.each([
  { mode: 'with private parts of ioredis', enter: () => probeRedisBatches() },
  { mode: 'with public API only', enter: () => Promise.resolve(redisBatches.disable('off')) },
])('a read after an ASK redirect, $mode,', ({ enter }) => {
  let redis: TestRedis;
  let connection: RedisConnection;
  let state: RedisState | undefined;
  let allocated: number[];
  let freeBytes: number;
  const memory: ValueMemory = {
    ...UNLIMITED_MEMORY,
    allocate: (bytes) => {
      allocated.push(bytes);
      return bytes > freeBytes ? undefined : UNLIMITED_MEMORY.allocate(bytes);
    },
  };
  const read = (query: Query): Promise<RedisReply> => connection.fetchAsking(query, memory);
  const get = (key: string): Query => Query.get(Buffer.from(key));
  const hget = (key: string, field: string): Query =>
    Query.of(Buffer.from(key), [Buffer.from('HGET'), Buffer.from(field)]);

  beforeAll(async () => {
    await enter();
    redis = await TestRedis.start();
    const limits = { REDIS_MAX_VALUE_BYTES: String(MAX_VALUE_BYTES), ...PATIENT_TIMEOUTS };
    const settings = loadSettings({ REDIS_URL: redis.url, ...limits }, '/nowhere');
    connection = new RedisConnection(redisOptions(settings.redis), settings);
    connection.watch((now) => (state = now));
    await connection.connect();
    await redis.client.set('key', 'value');
    await redis.client.hset('hash', 'field', 'value');
  });
  beforeEach(() => {
    allocated = [];
    freeBytes = Infinity;
  });
  afterAll(async () => {
    connection.close();
    await redis.stop();
    await until('it has ended', () => (state?.reachable === false ? true : undefined));
  });

  it('returns a TTL of 0, also for a missing key', async () => {
    expect(await read(get('key'))).toEqual({ kind: 'value', value: Buffer.from('value'), ttlMs: 0 });
    expect(await read(get('nobody'))).toEqual({ kind: 'missing', ttlMs: 0 });
    expect(await read(get('hash'))).toEqual({ kind: 'wrong-type' });
    expect(await read(hget('hash', 'field'))).toEqual({
      kind: 'value',
      value: Buffer.from('$5\r\nvalue\r\n'),
      ttlMs: 0,
    });
    const nil = Buffer.from('$-1\r\n');
    expect(await read(hget('hash', 'nothing'))).toEqual({ kind: 'value', value: nil, ttlMs: 0 });
    expect(await read(hget('nobody', 'field'))).toEqual({ kind: 'missing', reply: nil, ttlMs: 0 });
    expect(await read(hget('key', 'field'))).toEqual({
      kind: 'error-reply',
      message: 'WRONGTYPE Operation against a key holding the wrong kind of value',
    });
  });

  it('returns values of up to REDIS_MAX_VALUE_BYTES, and never one that is longer', async () => {
    const longest = Buffer.alloc(MAX_VALUE_BYTES, 'x');
    const overhead = `$${longest.length}\r\n\r\n`.length;
    await redis.client.mset('longest', longest, 'longer', Buffer.concat([longest, Buffer.from('x')]));
    await redis.client.hset('longest-hash', 'field', longest.subarray(overhead));
    await redis.client.hset('longer-hash', 'field', longest);
    const tooLarge = { kind: 'value-too-large' };
    expect(await read(get('longer'))).toEqual(tooLarge);
    expect(await read(hget('longer-hash', 'field'))).toEqual(tooLarge);
    expect(allocated).toEqual([]);
    expect(await read(get('longest'))).toEqual({ kind: 'value', value: longest, ttlMs: 0 });
    expect(await read(hget('longest-hash', 'field'))).toMatchObject({ kind: 'value', ttlMs: 0 });
    expect(await read(get('key'))).toMatchObject({ kind: 'value' });
  });

  it('returns the size of a value that does not fit in the buffered-bytes limit', async () => {
    freeBytes = MAX_VALUE_BYTES / 2;
    await redis.client.set('large', Buffer.alloc(MAX_VALUE_BYTES));
    expect(await read(get('large'))).toEqual({ kind: 'buffer-full', bytes: MAX_VALUE_BYTES });
    expect(allocated).toEqual([MAX_VALUE_BYTES]);
    expect(await read(get('key'))).toMatchObject({ kind: 'value' });
  });
});
