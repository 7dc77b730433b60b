import { gzipSync } from 'node:zlib';
import { NUMBER } from './conversation.ts';
import { nextNumber } from './play.ts';
import { TestProxy, type Settings } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { CACHED_PATHS, TYPED_KEYS, TYPED_PATHS, VALUES, percentEncoded } from './targets.ts';

/** Two servers that must send the same responses to any bytes. */
export interface Rivals {
  readonly name: string;
  /** Most concurrent conversations; responses of a sequential server depend on its other clients. */
  readonly clients: number;
  /** The server under test. */
  readonly fastPath: string;
  /** The reference. */
  readonly plain: string;
}

const READER = { authorization: 'Bearer reader' };

/** Longer than a request sent byte by byte takes on a busy machine: the servers would time out at different bytes. */
const LONG_TIMEOUTS: Settings = { HTTP_HEADERS_TIMEOUT_MS: 120_000, HTTP_REQUEST_TIMEOUT_MS: 120_000 };

/** The settings of each pair. */
const VARIANTS: Readonly<Record<string, Settings>> = {
  'as it comes': {},
  'with access rules and short headers': {
    ACCESS_TOKEN: 'reader,other',
    KEY_ALLOWLIST: 'hit*,cold:*,gone:*,list:*',
    HTTP_MAX_HEADER_BYTES: 2048,
    HTTP_CORS_ORIGINS: 'https://a.example',
  },
  'with content by key': {
    HTTP_CONTENT_TYPES: 'hit*=text/html,cold:*=application/json',
    // Not of a cold key: the two servers are asked for different ones.
    HTTP_CONTENT_ENCODINGS: `${TYPED_KEYS.binaryHash}=gzip`,
    HTTP_COMPRESSION: 'br,gzip',
    HTTP_COMPRESSION_MIN_BYTES: 10,
  },
  'for pages of all origins': { HTTP_CORS_ORIGINS: '*', HTTP_CONTENT_TYPE: 'text/html' },
  'one request at a time': { PROXY_MODE: 'sequential', HTTP_CONTENT_TYPE: 'text/plain; charset=utf-8' },
};

/** Number of uncached keys created at a time. */
const COLD_KEYS = 20_000;

/** A Redis, and pairs of proxies with the same cached entries. */
export class Arena {
  readonly rivals: Rivals[] = [];
  readonly #redis: TestRedis;
  readonly #proxies: TestProxy[] = [];
  #prepared = 0;

  private constructor(redis: TestRedis) {
    this.#redis = redis;
  }

  /**
   * @param settings the settings in which the two servers of each pair differ.
   * @param names the pairs to start; all by default.
   */
  static async open(
    settings: { readonly fastPath: Settings; readonly plain: Settings },
    names: readonly string[] = Object.keys(VARIANTS),
  ): Promise<Arena> {
    const arena = new Arena(await TestRedis.start());
    try {
      await arena.#fill();
      for (const name of names) {
        const variant = VARIANTS[name];
        const [fastPath, plain] = await Promise.all([
          arena.#start({ ...LONG_TIMEOUTS, ...variant, ...settings.fastPath }),
          arena.#start({ ...LONG_TIMEOUTS, ...variant, ...settings.plain }),
        ]);
        arena.rivals.push({
          name,
          clients: variant.PROXY_MODE === 'sequential' ? 1 : Infinity,
          fastPath: fastPath.url,
          plain: plain.url,
        });
      }
    } catch (error) {
      await arena.close();
      throw error;
    }
    return arena;
  }

  /** Creates uncached keys for the next conversations. */
  async prepare(): Promise<void> {
    const used = Number.parseInt(nextNumber(), 36);
    if (used + COLD_KEYS / 2 < this.#prepared) return;
    const numbers = Array.from({ length: COLD_KEYS }, (_, i) => this.#prepared + i);
    const names = numbers.map((number) => number.toString(36).padStart(NUMBER.length, '0'));
    this.#prepared += COLD_KEYS;
    await this.#redis.client.mset(names.flatMap((name) => [`cold:${name}`, 'a value that is read for the first time']));
    const lists = this.#redis.client.pipeline();
    for (const name of names) lists.rpush(`list:${name}`, 'an element');
    await lists.exec();
  }

  async close(): Promise<void> {
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.#redis.stop();
  }

  async #fill(): Promise<void> {
    const { client } = this.#redis;
    for (const [key, value] of VALUES) await client.set(Buffer.from(key, 'latin1'), value);
    await client.hset(TYPED_KEYS.hash, {
      field: 'a "value"',
      '': 'of the empty name',
      'a/b': '/',
      ['p'.repeat(128)]: 'p',
    });
    const binary = new Map<string | Buffer, string | Buffer>([
      [Buffer.from([0xff]), Buffer.from([0xfe])],
      ['field', 'text'],
      ['zipped', gzipSync('a value that is stored compressed')],
    ]);
    await client.hset(TYPED_KEYS.binaryHash, binary);
    await client.hset(
      TYPED_KEYS.longHash,
      Object.fromEntries(Array.from({ length: 900 }, (_, i) => [i, 'x'.repeat(20)])),
    );
    await client.rpush(TYPED_KEYS.list, 'first', Buffer.from([0xff]), 'last');
    await client.sadd(TYPED_KEYS.set, 'member', '', 'a/b');
    await client.zadd(TYPED_KEYS.sortedSet, 1, 'one', 2.5, 'two', 'inf', 'all');
    await this.prepare();
  }

  /** Starts a proxy, and loads the keys that must be hits. */
  async #start(settings: Settings): Promise<TestProxy> {
    const proxy = await TestProxy.start({
      REDIS_URL: this.#redis.url,
      PROXY_THREADS: 1,
      CACHE_CAPACITY: 1_000_000,
      CACHE_TTL_MS: 7 * 86_400_000,
      // On a busy machine one of the two might receive the invalidation in time, and the other not.
      REDIS_COMMAND_TIMEOUT_MS: 20_000,
      ...settings,
    });
    this.#proxies.push(proxy);
    for (const [key, value] of VALUES) {
      const { status, body } = await proxy.get(`/v1/keys/${percentEncoded(key)}`, READER);
      if (status !== 200 || !body.equals(value)) throw new Error(`the key ${key.slice(0, 20)}: ${status}`);
    }
    for (const path of CACHED_PATHS) {
      const { status } = await proxy.get(path, READER);
      if (status !== 200 && status !== 204 && TYPED_PATHS.includes(path)) throw new Error(`${path}: ${status}`);
    }
    return proxy;
  }
}
