/**
 * Runs mixed traffic for several minutes while random faults are injected: `npm run soak`, or
 * `npm run soak -- --minutes 1 --seed 7`. Checks every response against the history of its key: the value must have been
 * current at some moment within the proxy's staleness bound.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { Relay } from '../support/relay.ts';
import { Faults } from './faults.ts';
import { Random } from './random.ts';
import { type Reading, httpReader, mgetReader, respReader } from './readers.ts';
import { report } from './report.ts';
import { makeKeys } from './keys.ts';
import { Checks } from './checks.ts';
import { Vitals } from './vitals.ts';
import { Writers } from './writers.ts';

const KEYS = 2000;
const CAPACITY = 1000;
const THREADS = 2;
const HTTP_READERS = 16;
const OTHER_READERS = 2;
const STALE_IF_ERROR_MS = 2000;
/** Accepted staleness under CACHE_COHERENCE=tracking; the proxy's own bound is 750 ms. */
const BOUND_MS = 1000;
const SAMPLE_INTERVAL_MS = 1000;
const PROGRESS_INTERVAL_MS = 10_000;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 1e6) } },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];

// Acknowledged writes must survive SIGKILL.
const redis = await TestRedis.start(
  ...['--appendonly', 'yes', '--appendfsync', 'always', '--enable-debug-command', 'yes'],
);
const relay = await Relay.to(redis.port);
const respPort = await freePort();
const proxy = await TestProxy.start({
  REDIS_URL: `redis://127.0.0.1:${relay.port}/0`,
  RESP_PORT: respPort,
  PROXY_THREADS: THREADS,
  ADMIN_TOKEN: 'admin',
  CACHE_COHERENCE: 'tracking',
  CACHE_CAPACITY: CAPACITY,
  CACHE_TTL_MS: 60_000,
  CACHE_NEGATIVE_TTL_MS: 60_000,
  CACHE_STALE_IF_ERROR_MS: STALE_IF_ERROR_MS,
});
const vitals = new Vitals(proxy.child?.process.pid ?? 0);
const handlesBefore = vitals.handles;

const checks = new Checks();
const keys = makeKeys(KEYS);
const writers = new Writers(redis.url, keys, new Random(seed), checks);
await writers.begin();
const targets = { redis, proxy, threads: THREADS, relay, writers };
const faults = new Faults(targets, new Random(seed + 1), checks);
const reading: Reading = {
  httpUrl: proxy.url,
  respPort,
  keys,
  random: new Random(seed + 2),
  checks,
  boundMs: BOUND_MS,
  staleBoundMs: BOUND_MS + STALE_IF_ERROR_MS,
  disturbedSince: (time) => faults.since(time),
};

console.error(`${minutes} min, seed ${seed}`);
const started = performance.now();
const signal = AbortSignal.timeout(minutes * 60_000);
const watch = setInterval(() => {
  vitals.sample();
  const longAgo = performance.now() - 60_000;
  for (const { history } of keys) history.forgetBefore(longAgo);
}, SAMPLE_INTERVAL_MS);
const progress = setInterval(() => {
  const responses = [...checks.counts].filter(([what]) => !/^(write|fault)/.test(what));
  const sum = responses.reduce((total, [, count]) => total + count, 0);
  const seconds = Math.round((performance.now() - started) / 1000);
  console.error(
    `${seconds} s: ${sum} responses, ${checks.violationCount} violations, ${vitals.residentMiB.toFixed(0)} MiB`,
  );
}, PROGRESS_INTERVAL_MS);
await Promise.all([
  writers.run(signal),
  faults.run(signal),
  ...Array.from({ length: HTTP_READERS }, () => httpReader(reading)(signal)),
  ...Array.from({ length: OTHER_READERS }, () => mgetReader(reading)(signal)),
  ...Array.from({ length: OTHER_READERS }, () => respReader(reading)(signal)),
]);
clearInterval(watch);
clearInterval(progress);
// Connections of disconnected clients and of crashed threads take a moment to be closed.
await delay(5000);
const handles = { before: handlesBefore, after: vitals.handles };
// The page has their sums.
for (const [what, count] of checks.counts) console.error(`${what}: ${count}`);
console.log(report({ minutes, seed, checks, vitals, handles }));
const clean = checks.violationCount === 0 && !vitals.hasGrown && handles.after <= handles.before;
await proxy.stop();
await relay.stop();
await targets.redis.stop();
process.exitCode = clean ? 0 : 1;
