import type { Redis } from 'ioredis';
import type { createClient } from 'redis';

/** A client that caches replies itself. */
type CachingClient = Pick<
  ReturnType<typeof createClient>,
  'get' | 'hGet' | 'hGetAll' | 'lRange' | 'zScore' | 'sMembers'
>;

/** A query, and the version of the key that its reply shows; 0 if the key does not exist. */
interface VersionQuery {
  readonly command: (key: string) => [name: string, ...args: string[]];
  readonly versionOf: (reply: unknown) => number;
}

/** A type of keys, whose values show their version. */
export interface Kind {
  readonly name: string;
  readonly write: (client: Redis, key: string, version: number) => Promise<unknown>;
  readonly queries: readonly VersionQuery[];
  /** Reads a key's version through the cache of a client. */
  readonly readCached: (client: CachingClient, key: string) => Promise<number>;
}

/** The value itself, or the element at an index of an array, is the version. */
const itself = (reply: unknown): number => Number(reply ?? 0);
const at =
  (index: number) =>
  (reply: unknown): number =>
    Number((reply as unknown[])[index] ?? 0);
const query = (versionOf: (reply: unknown) => number, name: string, ...rest: string[]): VersionQuery => ({
  command: (key) => [name, key, ...rest],
  versionOf,
});

export const KINDS: readonly Kind[] = [
  {
    name: 'string',
    write: (client, key, version) => client.set(key, version),
    queries: [query(itself, 'GET'), query(itself, 'GETRANGE', '0', '-1'), query(at(0), 'MGET')],
    readCached: async (client, key) => itself(await client.get(key)),
  },
  {
    name: 'hash',
    write: (client, key, version) => client.hset(key, 'version', version, 'other', 'field'),
    queries: [
      query(itself, 'HGET', 'version'),
      query(at(1), 'HMGET', 'other', 'version'),
      query(at(1), 'HGETALL'),
      query(at(0), 'HVALS'),
    ],
    readCached: async (client, key) => itself((await client.hGetAll(key)).version),
  },
  {
    name: 'list',
    write: (client, key, version) => client.multi().del(key).rpush(key, 'first', version).exec(),
    queries: [query(at(1), 'LRANGE', '0', '-1'), query(itself, 'LINDEX', '-1'), query(at(0), 'LRANGE', '1', '1')],
    readCached: async (client, key) => at(1)(await client.lRange(key, 0, -1)),
  },
  {
    name: 'set',
    write: (client, key, version) => client.multi().del(key).sadd(key, version).exec(),
    queries: [query(at(0), 'SMEMBERS')],
    readCached: async (client, key) => at(0)(await client.sMembers(key)),
  },
  {
    name: 'zset',
    write: (client, key, version) => client.zadd(key, version, 'member'),
    queries: [
      query(itself, 'ZSCORE', 'member'),
      query(at(0), 'ZMSCORE', 'member'),
      query(at(1), 'ZRANGE', '0', '-1', 'WITHSCORES'),
      query(at(1), 'ZRANGEBYSCORE', '-inf', '+inf', 'WITHSCORES'),
      query(at(1), 'ZREVRANGE', '0', '0', 'WITHSCORES'),
    ],
    readCached: async (client, key) => itself(await client.zScore(key, 'member')),
  },
];

/** Returns the type of a key, with whose name its own begins. */
export function kindOf(key: string): Kind {
  const kind = KINDS.find(({ name }) => key.startsWith(`${name}-`));
  if (kind === undefined) throw new Error(`no type has keys like ${key}`);
  return kind;
}
