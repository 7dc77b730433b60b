/**
 * Measures the staleness of reads under CACHE_COHERENCE=tracking while the proxy's connections are reset or stalled at
 * random times: `npm run staleness -- [writes] [seed]`. With `--replicas` keys are loaded from replicas, which are killed and
 * promoted, and staleness counts from when all replicas have a write. Keys of all types are read over HTTP and the Redis
 * protocol, and by clients that cache values themselves. Prints a table, or with `--json` a {@link StalenessReport}.
 */
import { Agent } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { untilCoherence, metric } from '../support/coherence.ts';
import { sendRequest } from '../support/http-client.ts';
import { TestProxy } from '../support/proxy.ts';
import { seeded } from '../support/random.ts';
import { respPort } from '../support/resp.ts';
import { replicas, singleRedis } from './backends.ts';
import { KINDS, type Kind, kindOf } from './kinds.ts';
import { type StalenessReport, asMarkdown } from './report.ts';
import { Versions } from './versions.ts';

const WRITERS = 4;
const KEYS_PER_WRITER = 10;
const READERS = 2;
/** Clients with a cache of their own. */
const CACHING_READERS = 2;
const MAX_WAIT_MS = 10_000;

const { values, positionals } = parseArgs({
  options: { json: { type: 'boolean' }, replicas: { type: 'boolean' } },
  allowPositionals: true,
});
const [writes = 10_000, seed = Date.now() % 2 ** 31] = positionals.map(Number);
const random = seeded(seed);
const versions = new Versions();
/** What clients with a cache of their own have read. */
const cachedVersions = new Versions();
const closers: (() => void)[] = [];
const latenciesMs: number[] = [];
let written = 0;

const backend = await (values.replicas === true ? replicas() : singleRedis());
const proxy = await TestProxy.start(
  {
    ...backend.settings,
    RESP_PORT: 0,
    PROXY_THREADS: 2,
    CACHE_COHERENCE: 'tracking',
    CACHE_TTL_MS: 3_600_000,
    CACHE_NEGATIVE_TTL_MS: 3_600_000,
  },
  '/',
  true,
);
try {
  await untilCoherence(proxy, 'tracking');
  const startedAt = performance.now();
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer));
  const readers = Array.from({ length: READERS }, readOn);
  const caching = Array.from({ length: CACHING_READERS }, readCached);
  await Promise.all([...writers, ...readers, ...caching, disturb()]);
  const report: StalenessReport = {
    seed,
    writes: written,
    reads: versions.reads,
    seconds: (performance.now() - startedAt) / 1000,
    losses: await metric(proxy, 'coherence_losses_total'),
    cachedReads: cachedVersions.reads,
    pushes: await metric(proxy, 'tracking_pushes_total'),
    wrong: [...versions.wrong, ...cachedVersions.wrong],
    delaysMs: percentiles(versions.delaysMs),
    cachedDelaysMs: percentiles(cachedVersions.delaysMs),
    latenciesMs: percentiles(latenciesMs.sort((a, b) => a - b)),
  };
  console.log(values.json === true ? JSON.stringify(report) : asMarkdown(report));
  if (report.wrong.length > 0) process.exitCode = 1;
} finally {
  for (const close of closers) close();
  await proxy.stop();
  await backend.stop();
}

/** Returns a function that reads keys over connections of its own: strings over HTTP, too, all others over the Redis protocol. */
function reader(): (key: string) => Promise<number | undefined> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  // Over RESP2, in which all replies are flat.
  const resp = new Redis({ host: '127.0.0.1', port: respPort(proxy), protocol: 2 });
  resp.on('error', () => undefined);
  closers.push(
    () => agent.destroy(),
    () => resp.disconnect(),
  );
  const overHttp = async (key: string): Promise<number | undefined> => {
    const { status, text } = await sendRequest(proxy.url, `/v1/keys/${key}`, { agent });
    if (status !== 200 && status !== 404) return undefined;
    return status === 200 ? Number(text) : 0;
  };
  const overResp = async (kind: Kind, key: string): Promise<number | undefined> => {
    const { command, versionOf } = kind.queries[random(kind.queries.length)];
    const [name, ...args] = command(key);
    try {
      return versionOf(await resp.call(name, ...args));
    } catch {
      // Redis is unavailable.
      return undefined;
    }
  };
  return async (key) => {
    const kind = kindOf(key);
    const startedAt = performance.now();
    const version = await (kind.name === 'string' && random(2) === 0 ? overHttp(key) : overResp(kind, key));
    latenciesMs.push(performance.now() - startedAt);
    if (version !== undefined) versions.read(key, version, startedAt);
    return version;
  };
}

/** Writes keys and reads each until the new version is visible; sometimes deletes the key, which counts as version 0. */
async function write(writer: number): Promise<void> {
  const read = reader();
  for (let version = 1; written < writes; version++) {
    written++;
    const key = randomKey(writer);
    const next = random(10) === 0 ? 0 : version;
    for (const each of [versions, cachedVersions]) each.startWrite(key, next);
    await backend.write((client) => (next === 0 ? client.del(key) : kindOf(key).write(client, key, next)));
    const acknowledgedAt = performance.now();
    for (const each of [versions, cachedVersions]) each.acknowledgeWrite(key, acknowledgedAt);
    while ((await read(key)) !== next) {
      if (performance.now() > acknowledgedAt + MAX_WAIT_MS)
        throw new Error(`${key}: version ${next} never became visible`);
    }
    // Caches the key, so that its next write has an entry to invalidate.
    await read(key);
  }
}

async function readOn(): Promise<void> {
  const read = reader();
  while (written < writes) await read(randomKey(random(WRITERS)));
}

/** Reads with the cache of a client library, which the proxy notifies of writes (CLIENT TRACKING). */
async function readCached(): Promise<void> {
  const url = `redis://127.0.0.1:${respPort(proxy)}`;
  const cached = createClient({ url, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: 'LRU' } });
  cached.on('error', () => undefined);
  await cached.connect();
  closers.push(() => cached.destroy());
  while (written < writes) {
    const key = randomKey(random(WRITERS));
    const startedAt = performance.now();
    // Redis may be unavailable.
    const version = await kindOf(key)
      .readCached(cached, key)
      .catch(() => undefined);
    if (version !== undefined) cachedVersions.read(key, version, startedAt);
    await nextTurn();
  }
}

function randomKey(writer: number): string {
  return `${KINDS[random(KINDS.length)].name}-${writer}-${random(KEYS_PER_WRITER)}`;
}

/** Injects each fault at a random write. */
async function disturb(): Promise<void> {
  const faults = backend.faults.map((inject) => ({ inject, at: random(writes) })).sort((a, b) => a.at - b.at);
  for (const { inject, at } of faults) {
    while (written < at) await new Promise((resolve) => setTimeout(resolve, 1));
    await inject(proxy);
  }
}

/** @param sorted ascending. */
function percentiles(sorted: readonly number[]): StalenessReport['delaysMs'] {
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}
