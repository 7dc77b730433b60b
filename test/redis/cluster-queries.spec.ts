import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import calculateSlot from 'cluster-key-slot';
import { loadSettings } from '../../src/config/load-settings.ts';
import { probeRedisBatches } from '../../src/redis/ioredis-internals/probe.ts';
import { redisBatches } from '../../src/redis/ioredis-internals/redis-batches.ts';
import { ClusterReader } from '../../src/redis/cluster/cluster-reader.ts';
import { UNLIMITED_MEMORY } from '../../src/redis/connection/value-memory.ts';
import { Query } from '../../src/redis/query.ts';
import type { RedisReply } from '../../src/redis/redis-reply.ts';
import { TestCluster } from '../support/cluster.ts';
import { until } from '../support/processes.ts';
import { PATIENT_TIMEOUTS } from '../support/redis.ts';

const NAMES = Array.from({ length: 30 }, (_, i) => `hash:${i}`);
const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;
const hashReply = (name: string): string => `*2\r\n${bulk('name')}${bulk(name)}`;

describe.each([
  { mode: 'with private parts of ioredis', enter: () => probeRedisBatches() },
  { mode: 'with public API only', enter: () => Promise.resolve(redisBatches.disable('off')) },
])('queries other than GET of a cluster, $mode,', ({ enter }) => {
  let cluster: TestCluster;
  let reader: ClusterReader;
  const ask = (key: string, ...words: string[]): Promise<RedisReply> => {
    const query = Query.of(
      Buffer.from(key),
      words.map((word) => Buffer.from(word)),
    );
    return new Promise((onReply) => reader.fetch(query, onReply, UNLIMITED_MEMORY));
  };
  const value = (text: string, ttlMs?: number): RedisReply => ({ kind: 'value', value: Buffer.from(text), ttlMs });

  beforeAll(enter);
  beforeEach(async () => {
    cluster = await TestCluster.start(3, 0);
    for (const name of NAMES) {
      await cluster.firstMasterOf(calculateSlot(name)).client.hset(name, 'name', name);
    }
    const nodes = { REDIS_MODE: 'cluster', REDIS_NODES: cluster.masters[0].address };
    reader = new ClusterReader(loadSettings({ ...nodes, ...PATIENT_TIMEOUTS }, '/nowhere'));
    await reader.connect();
  });
  afterEach(async () => {
    reader.close();
    await cluster.stop();
  });

  it('are sent to the master of each key', async () => {
    const replies = await Promise.all([...NAMES, 'nobody'].map((name) => ask(name, 'HGETALL')));
    expect(replies).toEqual([
      ...NAMES.map((name) => value(hashReply(name))),
      { kind: 'missing', reply: Buffer.from('*0\r\n') },
    ]);
    expect(await ask(NAMES[0], 'LRANGE', '0', '-1')).toMatchObject({ kind: 'error-reply' });
  });

  it('follow a slot that is migrated; replies of the importing node have a TTL of 0', async () => {
    const [from, to] = cluster.masters;
    const ofFirst = NAMES.filter((name) => cluster.firstMasterOf(calculateSlot(name)) === from);
    const [moved] = ofFirst;
    const slot = calculateSlot(moved);
    const absent = `{${moved}}:nobody`;
    await to.client.cluster('SETSLOT', slot, 'IMPORTING', from.id);
    await from.client.cluster('SETSLOT', slot, 'MIGRATING', to.id);
    await from.client.migrate('127.0.0.1', to.port, moved, 0, 5000);
    expect(await Promise.all([ask(moved, 'HGETALL'), ask(moved, 'HLEN'), ask(absent, 'HGET', 'name')])).toEqual([
      value(hashReply(moved), 0),
      value(':1\r\n', 0),
      { kind: 'missing', reply: Buffer.from('$-1\r\n'), ttlMs: 0 },
    ]);
    expect(await ask(moved, 'SMEMBERS')).toMatchObject({
      kind: 'error-reply',
      message: expect.stringMatching(/^WRONGTYPE/),
    });
    for (const { client } of [to, ...cluster.masters]) await client.cluster('SETSLOT', slot, 'NODE', to.id);
    expect(await ask(moved, 'HGETALL')).toEqual(value(hashReply(moved)));
  });

  it('fail while the master is unreachable, and those of the other masters do not', async () => {
    const [lost] = cluster.masters;
    await lost.server.stop('SIGKILL');
    const isLost = (name: string): boolean => cluster.firstMasterOf(calculateSlot(name)) === lost;
    await until('its keys are unavailable', async () => {
      const replies = await Promise.all(NAMES.map((name) => ask(name, 'HGETALL')));
      return replies.every(({ kind }, i) => (kind === 'unavailable') === isLost(NAMES[i])) || undefined;
    });
  });
});
