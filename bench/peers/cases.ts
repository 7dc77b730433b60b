import type { Contestant, Needs } from './contestant.ts';
import { nest, nodeHttp } from './contestants/node.ts';
import { haproxyCache } from './contestants/haproxy-cache.ts';
import { nginxCache } from './contestants/nginx-cache.ts';
import { nginx } from './contestants/nginx.ts';
import { ours, oursOverRedisProtocol, oursOverTls } from './contestants/ours.ts';
import { redisServer } from './contestants/redis.ts';
import { varnish } from './contestants/varnish.ts';
import { webdis } from './contestants/webdis.ts';
import { inTurn, uniform, zipf } from './draws.ts';
import { HASHES, valueOf } from './store.ts';
import { type Workload, fixedRate, manyKeys, oneHash, oneKey, reads } from './workloads.ts';

/** A contestant in a case, with its workload. */
export interface Entry {
  readonly name: string;
  readonly contestant: Contestant;
  readonly workload: Workload;
  /** Capacity of its cache, if it differs from the case's; all keys are cached before the measurement. */
  readonly cachedKeys?: number;
}

/** A comparison of several contestants. */
export interface Case {
  readonly id: string;
  readonly title: string;
  /** Description of the workload, in a sentence or two. */
  readonly about: string;
  readonly needs: Needs;
  /** The first entry is compared with each of the others. */
  readonly entries: readonly Entry[];
  /** Required outcome of the reads of caching contestants; undefined: any. */
  readonly expect?: 'hits' | 'misses';
  /** Whether the case compares latencies; otherwise it compares rates. */
  readonly latency?: true;
}

const ALL = [ours, webdis, varnish, nginx, nest, nodeHttp];
const OVER_TLS = [oursOverTls, nginxCache, haproxyCache];
const IN_FRONT_OF_REDIS = [ours, webdis, varnish];
const REDIS_PROTOCOL = [oursOverRedisProtocol, redisServer];
const CAPACITY = 10_000;
const COLD_KEYS = 300_000;
const ZIPF_KEYS = 100_000;
const ZIPF_EXPONENT = 0.99;
const DRAWS = 1_000_000;
const FEW = 5000;
const MANY = 500_000;

/** Returns all cases. @param rate requests per second in the case with a fixed rate. */
export function allCases(rate: number): readonly Case[] {
  const fewest = { capacity: CAPACITY };
  return [
    {
      id: 'http-hits',
      title: 'HTTP, hits of 100 B',
      about: 'One key of 100 B repeatedly, 64 keep-alive connections.',
      needs: { ...fewest, constant: valueOf('small', 0) },
      entries: all(ALL, oneKey('small')),
      expect: 'hits',
    },
    {
      id: 'http-hits-10k',
      title: 'HTTP, hits of 10 KiB',
      about: 'One key of 10 KiB repeatedly, 64 keep-alive connections.',
      needs: { ...fewest, constant: valueOf('large', 0) },
      entries: all(ALL, oneKey('large')),
      expect: 'hits',
    },
    {
      id: 'https-hits',
      title: 'HTTPS, hits of 100 B',
      about: 'One key of 100 B repeatedly, 64 keep-alive connections over TLS 1.3 with AES-128-GCM.',
      needs: fewest,
      entries: all(OVER_TLS, oneKey('small')),
      expect: 'hits',
    },
    {
      id: 'https-hits-10k',
      title: 'HTTPS, hits of 10 KiB',
      about: 'One key of 10 KiB repeatedly, 64 keep-alive connections over TLS 1.3 with AES-128-GCM.',
      needs: fewest,
      entries: all(OVER_TLS, oneKey('large')),
      expect: 'hits',
    },
    {
      id: 'http-misses',
      title: 'HTTP, misses of 100 B',
      about: `${text(COLD_KEYS)} keys, where ${text(CAPACITY)} fit into the cache, read round robin: each has been evicted before its next read.`,
      needs: fewest,
      entries: all(IN_FRONT_OF_REDIS, manyKeys({ keys: COLD_KEYS, draws: () => inTurn(COLD_KEYS), fill: 0 })),
      expect: 'misses',
    },
    {
      id: 'http-mixed',
      title: 'HTTP, mixed traffic',
      about: `Reads of ${text(ZIPF_KEYS)} keys of 100 B, Zipf-distributed with exponent ${ZIPF_EXPONENT}, where ${text(CAPACITY)} fit into the cache (Varnish's limit is one of bytes, and set to about as many).`,
      needs: fewest,
      entries: all(
        IN_FRONT_OF_REDIS,
        manyKeys({ keys: ZIPF_KEYS, draws: () => zipf(ZIPF_KEYS, ZIPF_EXPONENT, DRAWS), fill: 0 }),
      ),
    },
    {
      id: 'http-latency',
      title: `HTTP, latency at ${text(rate)} requests/s`,
      about:
        'Hits of one key of 100 B. Requests are Poisson arrivals, independent of the responses, on 64 connections; latency counts from the due time of a request, so a stall affects all requests that arrive meanwhile.',
      needs: { ...fewest, constant: valueOf('small', 0) },
      entries: all(ALL, fixedRate(rate)),
      expect: 'hits',
      latency: true,
    },
    {
      id: 'http-hash',
      title: 'HTTP, hits of a hash of 20 fields',
      about: 'One hash of 20 fields of 20 B repeatedly, as a JSON object; 64 keep-alive connections.',
      needs: fewest,
      entries: all([ours, webdis], oneHash()),
      expect: 'hits',
    },
    redisCase('redis-hits', 'Redis protocol, hits of 100 B', { of: 'small', keys: CAPACITY, pipeline: 1 }),
    redisCase('redis-hits-16', 'Redis protocol, hits of 100 B, 16 deep', {
      of: 'small',
      keys: CAPACITY,
      pipeline: 16,
    }),
    redisCase('redis-hits-10k', 'Redis protocol, hits of 10 KiB', { of: 'large', keys: 1000, pipeline: 1 }),
    redisCase('redis-hash', 'Redis protocol, hits of HGETALL', { of: 'hash', keys: HASHES, pipeline: 1 }),
    redisCase('redis-hash-16', 'Redis protocol, hits of HGETALL, 16 deep', { of: 'hash', keys: HASHES, pipeline: 16 }),
    {
      id: 'scale',
      title: 'HTTP, hits among many entries',
      about: `All keys that are cached, 100 B each, equally often; \`CACHE_CAPACITY\` is just enough for them. Both have read ${text(MANY)} keys once before.`,
      needs: { capacity: MANY },
      entries: [MANY, FEW].map((keys) => ({
        name: `${ours.name}, ${text(keys)} cached`,
        contestant: ours,
        workload: manyKeys({ keys, draws: () => uniform(keys, DRAWS), fill: MANY }),
        cachedKeys: keys,
      })),
      expect: 'hits',
    },
  ];
}

function redisCase(id: string, title: string, plan: Parameters<typeof reads>[0]): Case {
  const deep = plan.pipeline > 1 ? `, ${plan.pipeline} commands at a time` : '';
  const what = plan.of === 'hash' ? 'HGETALL, 20 fields of 20 B,' : 'GET';
  return {
    id,
    title,
    about: `${what} of ${text(plan.keys)} keys, equally often; 64 connections${deep}.`,
    needs: { capacity: CAPACITY },
    entries: all(REDIS_PROTOCOL, reads(plan)),
    expect: 'hits',
  };
}

function all(contestants: readonly Contestant[], workload: Workload): Entry[] {
  return contestants.map((contestant) => ({ name: contestant.name, contestant, workload }));
}

function text(number: number): string {
  return number.toLocaleString('en');
}
