import { availableParallelism } from 'node:os';
import { parseKeyPatterns } from './key-pattern-syntax.ts';
import { parseRedisNodes } from '../redis/redis-nodes.ts';
import { parseRedisUrl } from '../redis/redis-url.ts';
import { Flag, OneOf, Text, WholeNumber } from './setting.decorators.ts';
import { areTokens } from '../tokens.ts';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export const FAST_PATH_STATES = ['on', 'off'] as const;
export const UPSTASH_STATES = ['on', 'off'] as const;
export const COHERENCE_MODES = ['ttl', 'tracking'] as const;
export const PROXY_MODES = ['parallel', 'sequential'] as const;
export const REDIS_MODES = ['standalone', 'sentinel', 'cluster'] as const;
export const NODE_INTERNALS_MODES = ['auto', 'off'] as const;
export const LOG_FORMATS = ['json', 'pretty'] as const;

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const GiB = 2 ** 30;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** More threads than this do not help: they share one cache. */
const MAX_THREADS = 128;

/** The settings as the environment names them: one property each, all that is to be said about it in its decorator. */
export class Environment {
  @Text({ default: '0.0.0.0', accepted: 'an address or a host name', meaning: 'address of the HTTP listener' })
  HTTP_HOST!: string;

  @WholeNumber({ default: 8080, min: 0, max: 65535, meaning: 'port of the HTTP listener; 0: any free one' })
  HTTP_PORT!: number;

  @Text({
    default: 'application/octet-stream',
    pattern: /^(?=.{1,200}$)[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:; ?[\w-]+=[\w.-]+)*$/,
    accepted: 'a media type',
    meaning: 'Content-Type of the values',
  })
  HTTP_CONTENT_TYPE!: string;

  @Text({
    check: areOrigins,
    accepted: '*, or origins as https://example.com:8443, separated by commas',
    meaning: 'origins whose pages may read keys (CORS); *: all; unset: none',
  })
  HTTP_CORS_ORIGINS?: string;

  @WholeNumber({
    default: 208 * KiB,
    min: KiB,
    max: MiB,
    meaning: 'bytes of the request line and the headers; the default leaves room for the longest key',
  })
  HTTP_MAX_HEADER_BYTES!: number;

  @WholeNumber({ default: 10_000, min: 1, max: HOUR_MS, meaning: 'milliseconds a client has to send its headers' })
  HTTP_HEADERS_TIMEOUT_MS!: number;

  @WholeNumber({
    default: 30_000,
    min: 1,
    max: HOUR_MS,
    meaning: 'milliseconds a client has to send its whole request',
  })
  HTTP_REQUEST_TIMEOUT_MS!: number;

  @WholeNumber({
    default: 65_000,
    min: 1,
    max: HOUR_MS,
    meaning: 'milliseconds an idle connection is kept: longer than load balancers do',
  })
  HTTP_KEEP_ALIVE_TIMEOUT_MS!: number;

  @OneOf({
    default: 'on',
    words: FAST_PATH_STATES,
    meaning: 'whether plain requests for keys are answered without node:http and Express: faster, never different',
  })
  HTTP_FAST_PATH!: (typeof FAST_PATH_STATES)[number];

  @WholeNumber({
    default: 6380,
    min: 0,
    max: 65535,
    mayBeEmpty: true,
    meaning: 'port of the Redis-protocol listener, at HTTP_HOST; 0: any free one; empty: off',
  })
  RESP_PORT?: number;

  @WholeNumber({
    default: HOUR_MS,
    min: 0,
    max: DAY_MS,
    meaning: 'milliseconds an idle connection of the Redis protocol is kept; 0: for ever',
  })
  RESP_IDLE_TIMEOUT_MS!: number;

  @OneOf({
    default: '',
    defaultText: 'on with ACCESS_TOKEN',
    words: UPSTASH_STATES,
    meaning: "whether Upstash's REST API is spoken at HTTP_PORT, which takes an ACCESS_TOKEN",
  })
  UPSTASH_REST_API?: (typeof UPSTASH_STATES)[number];

  @OneOf({
    default: 'standalone',
    words: REDIS_MODES,
    meaning: 'standalone: one Redis; sentinel: the master that sentinels name; cluster: the nodes of a Redis Cluster',
  })
  REDIS_MODE!: (typeof REDIS_MODES)[number];

  @Text({
    default: 'redis://127.0.0.1:6379/0',
    check: (value) => parseRedisUrl(value) !== undefined,
    accepted: 'redis:// or rediss:// [user[:password]@]host[:port][/database]',
    meaning: 'the Redis behind the proxy; with REDIS_NODES only scheme, account and database count, not the host',
    secret: true,
    isHarmless: hasNoPassword,
  })
  REDIS_URL!: string;

  @Text({
    check: (value) => parseRedisNodes(value) !== undefined,
    accepted: 'host:port, separated by commas; IPv6 addresses in brackets',
    meaning: 'the sentinels, or some nodes of the cluster: host:port,…',
  })
  REDIS_NODES?: string;

  @Text({ accepted: 'the name the sentinels have for the master', meaning: 'name of the master at the sentinels' })
  REDIS_SENTINEL_NAME?: string;

  @Text({ accepted: 'a user name', meaning: 'user at the sentinels, when they have one' })
  REDIS_SENTINEL_USERNAME?: string;

  @Text({ accepted: 'a password', meaning: 'password at the sentinels, when they have one', secret: true })
  REDIS_SENTINEL_PASSWORD?: string;

  @Text({ accepted: 'a user name', meaning: 'user at the Redis; wins over the one in REDIS_URL' })
  REDIS_USERNAME?: string;

  @Text({ accepted: 'a password', meaning: 'password at the Redis; wins over the one in REDIS_URL', secret: true })
  REDIS_PASSWORD?: string;

  @Text({
    accepted: 'the path of a readable PEM file, with a rediss:// address',
    meaning: 'certificate authority that has signed the certificate of the Redis; unset: those Node.js trusts',
  })
  REDIS_TLS_CA_FILE?: string;

  @Text({
    accepted: 'the path of a readable PEM file, with a rediss:// address and REDIS_TLS_KEY_FILE',
    meaning: 'certificate of the proxy, for a Redis that asks for one (mutual TLS)',
  })
  REDIS_TLS_CERT_FILE?: string;

  @Text({
    accepted: 'the path of a readable PEM file, with REDIS_TLS_CERT_FILE',
    meaning: 'private key of that certificate, not encrypted',
  })
  REDIS_TLS_KEY_FILE?: string;

  @WholeNumber({ default: 1000, min: 1, max: 600_000, meaning: 'milliseconds the Redis has to answer a read' })
  REDIS_COMMAND_TIMEOUT_MS!: number;

  @WholeNumber({ default: 2000, min: 1, max: 600_000, meaning: 'milliseconds the Redis has to accept a connection' })
  REDIS_CONNECT_TIMEOUT_MS!: number;

  @WholeNumber({
    default: 64 * MiB,
    min: 1,
    max: 512 * MiB,
    meaning: 'bytes of the longest value that is read; a longer one is an error, and is never in memory',
  })
  REDIS_MAX_VALUE_BYTES!: number;

  @WholeNumber({ default: 10_000, min: 0, max: 50_000_000, meaning: 'keys held, exactly; 0: nothing is cached' })
  CACHE_CAPACITY!: number;

  @WholeNumber({
    default: 256 * MiB,
    defaultText: '268435456, or what fits in the memory limit',
    min: 1,
    max: 64 * GiB,
    meaning: 'bytes held, keys and values; whichever limit is met first evicts',
  })
  CACHE_MAX_BYTES!: number;

  @WholeNumber({ default: MiB, min: 0, max: 512 * MiB, meaning: 'a larger value is served, not cached' })
  CACHE_MAX_VALUE_BYTES!: number;

  @WholeNumber({
    default: 60_000,
    min: 1,
    max: 366 * DAY_MS,
    meaning: 'global expiry: milliseconds that an entry is held from when it was stored',
  })
  CACHE_TTL_MS!: number;

  @WholeNumber({
    default: 0,
    min: 0,
    max: 366 * DAY_MS,
    meaning: 'milliseconds that a missing key is remembered; 0: not at all',
  })
  CACHE_NEGATIVE_TTL_MS!: number;

  @WholeNumber({
    default: 0,
    min: 0,
    max: 366 * DAY_MS,
    meaning: 'milliseconds after its expiry for which a value may still be answered while Redis cannot; 0: not at all',
  })
  CACHE_STALE_IF_ERROR_MS!: number;

  @Flag({
    default: true,
    meaning:
      "an entry never outlives its key's own TTL in Redis, stale or not; false: that TTL is not read, and ignored",
  })
  CACHE_RESPECT_KEY_TTL!: boolean;

  @OneOf({
    default: 'ttl',
    words: COHERENCE_MODES,
    meaning: 'ttl: entries end with their time; tracking: Redis tells of each write, which ends the entry at once',
  })
  CACHE_COHERENCE!: (typeof COHERENCE_MODES)[number];

  @OneOf({
    default: 'parallel',
    words: PROXY_MODES,
    meaning: 'parallel: several threads; sequential: one thread, one request at a time',
  })
  PROXY_MODE!: (typeof PROXY_MODES)[number];

  @WholeNumber({
    default: Math.min(availableParallelism(), MAX_THREADS),
    defaultText: 'the number of cores, or what fits in the memory limit',
    min: 1,
    max: MAX_THREADS,
    meaning: 'threads that answer, in parallel mode',
  })
  PROXY_THREADS!: number;

  @WholeNumber({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    meaning: 'open client connections; one more gets a 503, unless it is a health probe',
  })
  PROXY_MAX_CONNECTIONS!: number;

  @WholeNumber({
    default: 511,
    min: 1,
    max: 65_535,
    meaning: 'pending connections the kernel may queue, for all threads',
  })
  PROXY_BACKLOG!: number;

  @WholeNumber({ default: 256, min: 1, max: 65_536, meaning: 'reads of Redis in flight, in all threads' })
  PROXY_MAX_CONCURRENT_LOADS!: number;

  @WholeNumber({
    default: 10_000,
    min: 0,
    max: 1_000_000,
    meaning: 'reads of Redis that may wait for their turn, in all threads; one more gets a 503',
  })
  PROXY_MAX_QUEUED_LOADS!: number;

  @WholeNumber({
    default: 256 * MiB,
    defaultText: '268435456, or what fits in the memory limit',
    min: MiB,
    max: 64 * GiB,
    meaning:
      'bytes of values and responses in memory that no client has taken yet, in all threads; loads wait at the limit',
  })
  PROXY_MAX_BUFFERED_BYTES!: number;

  @Text({
    check: areTokens,
    accepted: 'tokens of visible ASCII characters, separated by commas',
    meaning: 'bearer tokens of those who read keys; unset: everybody may',
    secret: true,
  })
  ACCESS_TOKEN?: string;

  @Text({
    check: areTokens,
    accepted: 'tokens of visible ASCII characters, separated by commas',
    meaning: 'bearer tokens of the admin API; unset: the admin API is off',
    secret: true,
  })
  ADMIN_TOKEN?: string;

  @Text({
    default: '*',
    check: (value) => parseKeyPatterns(value) !== undefined,
    accepted: 'patterns separated by commas, of *, ?, [abc], [^abc], [a-z], and \\ before what stands for itself',
    meaning: 'patterns of the keys that may be read, as in the Redis command KEYS',
  })
  KEY_ALLOWLIST!: string;

  @OneOf({
    default: 'auto',
    words: NODE_INTERNALS_MODES,
    meaning:
      'private parts of Node.js and ioredis; auto: those that a probe at start finds to behave as needed are used, faster, never different; off: public API only',
  })
  NODE_INTERNALS!: (typeof NODE_INTERNALS_MODES)[number];

  @WholeNumber({
    default: 10_000,
    min: 0,
    max: 600_000,
    meaning: 'milliseconds to finish what is under way after SIGTERM',
  })
  SHUTDOWN_GRACE_MS!: number;

  @OneOf({ default: 'info', words: LOG_LEVELS, meaning: 'the least severe level that is logged' })
  LOG_LEVEL!: (typeof LOG_LEVELS)[number];

  @OneOf({
    default: process.stdout.isTTY ? 'pretty' : 'json',
    defaultText: 'json; pretty in a terminal',
    words: LOG_FORMATS,
    meaning: 'a JSON object per line, or lines for people',
  })
  LOG_FORMAT!: (typeof LOG_FORMATS)[number];
}

/** As browsers write them. */
function areOrigins(text: string): boolean {
  return text === '*' || text.split(',').every((each) => /^https?:/.test(each) && URL.parse(each)?.origin === each);
}

/** Whatever stands before an @ may be a password, unless it is understood and none. */
function hasNoPassword(address: string): boolean {
  const url = parseRedisUrl(address);
  return url === undefined ? !address.includes('@') : url.password === undefined;
}
