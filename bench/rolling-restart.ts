/**
 * Measures a rolling restart of two instances under load, with warm starts (CACHE_WARMUP_FILE): the loads that Redis sees in the
 * ten seconds after each start, and after each instance is ready again, against the steady rate. Then one instance is restarted
 * with an empty cache, for comparison. `npm run bench:rolling-restart`
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TestProxy } from '../test/support/proxy.ts';
import { TestRedis } from '../test/support/redis.ts';
import { FrontEnd, type Tally } from './rolling-restart/front-end.ts';

const RATE = Number(process.env.RATE ?? 4000);
const KEYS = Array.from({ length: 3000 }, (_, i) => `key:${i}`);
const EXPONENT = 0.7;
const TTL_MS = 24_000;
/** Of which 80 % are used: about the TTL, so that the warm-up loads as many keys per second as the instance does otherwise. */
const WAIT_MS = 25_000;
const WINDOW_MS = 10_000;

/** Loads and responses of a period. */
interface Period {
  readonly seconds: number;
  readonly tally: Tally;
  /** GET commands that Redis has received. */
  readonly loads: number;
  /** Those of a warm-up. */
  readonly warmUpLoads: number;
  /** Maximum number of GET commands in a second. */
  readonly peak: number;
}

const directory = mkdtempSync(join(tmpdir(), 'rolling-restart-'));
const redis = await TestRedis.start();
const frontEnd = new FrontEnd(KEYS, EXPONENT, RATE);
const proxies: TestProxy[] = [];
/** Loads of warm-ups of processes that have exited. */
let earlierWarmUps = 0;
try {
  await redis.client.mset(KEYS.flatMap((key) => [key, 'v'.repeat(100)]));
  for (const i of [0, 1]) await start(i);
  await fill();
  for (const { url } of proxies) await frontEnd.add(url);
  frontEnd.start();
  await wait('settling', 2000);
  const rows: [string, Period][] = [['steady', await measure('steady', WINDOW_MS)]];
  for (const i of [0, 1]) {
    const name = `instance ${i + 1}`;
    rows.push([`${name} drains and starts`, await measureWhile(async () => restart(i))]);
    const ready = frontEnd.add(proxies[i].url);
    rows.push([`${name}: 10 s from its start, not ready yet`, await measure(`${name} warms up`, WINDOW_MS)]);
    progress(`${name}: until it is ready`);
    await ready;
    rows.push([`${name}: 10 s from its readiness`, await measure(`${name} is ready`, WINDOW_MS)]);
  }
  await measureWhile(async () => restart(0, { CACHE_WARMUP_FILE: '', CACHE_WARMUP_WAIT_MS: 0 }));
  await frontEnd.add(proxies[0].url);
  rows.push(['for comparison, instance 1: 10 s from its start with an empty cache', await measure('cold', WINDOW_MS)]);
  print(rows);
} finally {
  await frontEnd.stop();
  for (const proxy of proxies) await proxy.stop();
  await redis.stop();
  rmSync(directory, { recursive: true, force: true });
}

/** Starts an instance; returns its URL when it listens. */
async function start(i: number, settings = {}): Promise<string> {
  const common = { REDIS_URL: redis.url, CACHE_TTL_MS: TTL_MS, CACHE_CAPACITY: 100_000 };
  const warm = { CACHE_WARMUP_FILE: join(directory, `keys-${i}`), CACHE_WARMUP_WAIT_MS: WAIT_MS };
  proxies[i] = await TestProxy.start({ ...common, ...warm, ...settings }, '/', false);
  return proxies[i].url;
}

async function restart(i: number, settings = {}): Promise<void> {
  const proxy = proxies[i];
  progress(`instance ${i + 1} restarts`);
  earlierWarmUps += await warmUpLoadsOf(proxy);
  proxy.child?.signal('SIGTERM');
  await proxy.child?.exit;
  frontEnd.remove(proxy.url);
  await start(i, settings);
}

/** Reads all keys through both instances, evenly over one TTL: their entries then have the ages of a steady state. */
async function fill(): Promise<void> {
  const startedAt = performance.now();
  for (const [i, key] of shuffled(KEYS).entries()) {
    const dueMs = startedAt + (i * TTL_MS) / KEYS.length;
    if (dueMs > performance.now()) await delay(dueMs - performance.now());
    if (i % 250 === 0) progress(`filling the caches: ${Math.ceil((TTL_MS * (1 - i / KEYS.length)) / 1000)} s to go`);
    await Promise.all(proxies.map((proxy) => proxy.key(key)));
  }
}

/** Returns the keys in another order, the same in each run. */
function shuffled(keys: readonly string[]): readonly string[] {
  // A number without a common divisor with that of the keys.
  return keys.map((_, i) => keys[(i * 3571) % keys.length]);
}

async function measure(what: string, ms: number): Promise<Period> {
  return measureWhile(() => wait(what, ms));
}

/** Measures as long as `action` takes. */
async function measureWhile(action: () => Promise<void>): Promise<Period> {
  frontEnd.next();
  const startedAt = performance.now();
  const [loads, warmUpLoads] = [await redis.calls('get'), await allWarmUpLoads()];
  let ended = false;
  const done = action().finally(() => (ended = true));
  let peak = 0;
  for (let last = loads, lastAt = startedAt; !ended;) {
    await Promise.race([done, delay(1000)]);
    const [now, calls] = [performance.now(), await redis.calls('get')];
    // A fraction of a second says little.
    if (now - lastAt >= 500) peak = Math.max(peak, ((calls - last) * 1000) / (now - lastAt));
    [last, lastAt] = [calls, now];
  }
  await done;
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    ...{ seconds, tally: frontEnd.next(), peak },
    loads: (await redis.calls('get')) - loads,
    warmUpLoads: (await allWarmUpLoads()) - warmUpLoads,
  };
}

async function wait(what: string, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1000) {
    progress(`${what}: ${Math.ceil(left / 1000)} s to go`);
    await delay(Math.min(left, 1000));
  }
}

async function allWarmUpLoads(): Promise<number> {
  let loads = earlierWarmUps;
  for (const proxy of proxies) if (proxy.child?.running === true) loads += await warmUpLoadsOf(proxy);
  return loads;
}

async function warmUpLoadsOf(proxy: TestProxy): Promise<number> {
  const { text } = await proxy.get('/metrics');
  const results = text.matchAll(
    /^redis_http_cache_proxy_warmup_entries_total\{result="(?:loaded|missing|failed)"\} (\d+)/gm,
  );
  return [...results].reduce((sum, [, entries]) => sum + Number(entries), 0);
}

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

function print(rows: readonly (readonly [string, Period])[]): void {
  const [[, steady]] = rows;
  const rateOf = ({ loads, warmUpLoads, seconds }: Period, withWarmUp: boolean): number =>
    (loads - (withWarmUp ? 0 : warmUpLoads)) / seconds;
  const cell = (period: Period, withWarmUp: boolean): string => {
    const rate = rateOf(period, withWarmUp);
    return `${rate.toFixed(0)} (${(rate / rateOf(steady, withWarmUp)).toFixed(2)}×)`;
  };
  console.log(
    '| | requests | failed | p99 | loads/s caused by requests | all loads/s | all loads in the highest second |',
  );
  console.log(`|${' --- |'.repeat(7)}`);
  for (const [name, period] of rows) {
    const { ms, failures } = period.tally;
    const failed = [...failures].map(([kind, count]) => `${kind}: ${count}`).join(', ') || '0';
    const p99 = ms.sort((a, b) => a - b)[Math.floor(ms.length * 0.99)] ?? NaN;
    const peak = `${period.peak.toFixed(0)} (${(period.peak / rateOf(steady, true)).toFixed(2)}×)`;
    const cells = [name, ms.length.toLocaleString('en'), failed, `${p99.toFixed(1)} ms`, cell(period, false)];
    console.log(`| ${[...cells, cell(period, true), peak].join(' | ')} |`);
  }
}
