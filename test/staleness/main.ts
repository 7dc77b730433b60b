/**
 * Measures the staleness of reads under CACHE_COHERENCE=tracking while the proxy's connections are reset or stalled at
 * random times: `npm run staleness -- [writes] [seed]`. Prints a table, or with `--json` a {@link StalenessReport}.
 */
import { Agent } from 'node:http';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { untilCoherence, metric } from '../support/coherence.ts';
import { sendRequest } from '../support/http-client.ts';
import { TestProxy } from '../support/proxy.ts';
import { seeded } from '../support/random.ts';
import { type Purpose, RedisRelay } from '../support/redis-relay.ts';
import { TestRedis } from '../support/redis.ts';
import { type StalenessReport, asMarkdown } from './report.ts';
import { Versions } from './versions.ts';

/** Faults of the proxy's connections, each injected at a random write. */
const FAULTS: readonly (readonly [what: 'reset' | 'hold', Purpose, times: number])[] = [
  ['reset', 'feed', 6],
  ['reset', 'data', 4],
  // Stalled without being closed: only unanswered PINGs reveal it.
  ['hold', 'feed', 2],
];
const WRITERS = 4;
const KEYS_PER_WRITER = 50;
const READERS = 2;
const MAX_WAIT_MS = 10_000;

const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true });
const [writes = 10_000, seed = Date.now() % 2 ** 31] = positionals.map(Number);
const random = seeded(seed);
const versions = new Versions();
const agents: Agent[] = [];
const latenciesMs: number[] = [];
let written = 0;

const redis = await TestRedis.start();
const relay = await RedisRelay.to(redis.port);
const proxy = await TestProxy.start({
  REDIS_URL: relay.url,
  PROXY_THREADS: 2,
  CACHE_COHERENCE: 'tracking',
  CACHE_TTL_MS: 3_600_000,
  CACHE_NEGATIVE_TTL_MS: 3_600_000,
});
const client = new Redis(redis.url);
try {
  await untilCoherence(proxy, 'tracking');
  const startedAt = performance.now();
  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer));
  await Promise.all([...writers, ...Array.from({ length: READERS }, readOn), disturb()]);
  const report: StalenessReport = {
    seed,
    writes: written,
    reads: versions.reads,
    seconds: (performance.now() - startedAt) / 1000,
    losses: await metric(proxy, 'coherence_losses_total'),
    wrong: versions.wrong,
    delaysMs: percentiles(versions.delaysMs),
    latenciesMs: percentiles(latenciesMs.sort((a, b) => a - b)),
  };
  console.log(values.json === true ? JSON.stringify(report) : asMarkdown(report));
  if (report.wrong.length > 0) process.exitCode = 1;
} finally {
  for (const agent of agents) agent.destroy();
  client.disconnect();
  await proxy.stop();
  await relay.stop();
  await redis.stop();
}

/** Returns a function that reads keys over one connection, as one client. */
function reader(): (key: string) => Promise<number | undefined> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  agents.push(agent);
  return async (key) => {
    const startedAt = performance.now();
    const { status, text } = await sendRequest(proxy.url, `/v1/keys/${key}`, { agent });
    latenciesMs.push(performance.now() - startedAt);
    if (status !== 200 && status !== 404) return undefined;
    const version = status === 200 ? Number(text) : 0;
    versions.read(key, version, startedAt);
    return version;
  };
}

/** Writes keys and reads each until the new version is visible; sometimes deletes the key, which counts as version 0. */
async function write(writer: number): Promise<void> {
  const read = reader();
  for (let version = 1; written < writes; version++) {
    written++;
    const key = `key-${writer}-${random(KEYS_PER_WRITER)}`;
    const next = random(10) === 0 ? 0 : version;
    versions.startWrite(key, next);
    await (next === 0 ? client.del(key) : client.set(key, next));
    const acknowledgedAt = performance.now();
    versions.acknowledgeWrite(key, acknowledgedAt);
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
  while (written < writes) await read(`key-${random(WRITERS)}-${random(KEYS_PER_WRITER)}`);
}

async function disturb(): Promise<void> {
  const faults = FAULTS.flatMap(([what, purpose, times]) =>
    Array.from({ length: times }, () => ({ what, purpose, at: random(writes) })),
  ).sort((a, b) => a.at - b.at);
  for (const { what, purpose, at } of faults) {
    while (written < at) await new Promise((resolve) => setTimeout(resolve, 1));
    relay[what](purpose);
  }
}

/** @param sorted ascending. */
function percentiles(sorted: readonly number[]): StalenessReport['delaysMs'] {
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1) };
}
