/**
 * Measures the latency of one hot key that expires every second, while its origin takes 50 ms: this proxy in front of Redis, with
 * and without CACHE_STALE_WHILE_REVALIDATE_MS, and Varnish with grace and nginx with background updates in front of an HTTP server.
 * Each runs alone on one core, the load generator, the origins and their delays on another. `npm run bench:expiry`
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Relay } from '../test/support/relay.ts';
import { TestRedis } from '../test/support/redis.ts';
import { CONTESTANTS, type Contestant, KEY, VALUE, launch } from './expiry/contestants.ts';
import { chooseCores, pinSelf } from './peers/cores.ts';
import { requestFor } from './peers/http-connection.ts';
import type { Latency } from './peers/load.ts';
import { openLoop } from './peers/open-loop.ts';
import { Workbench } from './peers/workbench.ts';
import { spread } from './spread.ts';

const RATE = Number(process.env.RATE ?? 2000);
const SECONDS = Number(process.env.SECONDS ?? 10);
const ROUNDS = Number(process.env.ROUNDS ?? 3);
const ORIGIN_MS = 50;

/**
 * Seconds between the two measurements of a round. V8 compiles this proxy's code for some ten seconds under this load, on the
 * core that serves.
 */
const WARM_UP_S = Number(process.env.WARM_UP_S ?? 10);

/** Result of one round, when the server has been warmed up. */
interface Sample extends Latency {
  readonly loadsPerSecond: number;
  /** 99th percentile in the first seconds after the start, in microseconds. */
  readonly firstP99Us: number;
}

const cores = chooseCores();
if (cores === undefined) throw new Error('Requires Linux and two cores, one of them for the load generator.');
pinSelf(cores.load);
const bench = new Workbench(cores);
const redis = await TestRedis.start();
await redis.client.set(KEY, VALUE);
const relay = await Relay.to(redis.port);
relay.delayMs = ORIGIN_MS;
let httpLoads = 0;
const origin = createServer((_, response) => {
  httpLoads++;
  void delay(ORIGIN_MS).then(() => response.writeHead(200, { 'Content-Length': VALUE.length }).end(VALUE));
}).listen(0, '127.0.0.1');
await once(origin, 'listening');
const origins = { redisPort: relay.port, httpPort: (origin.address() as AddressInfo).port };

const samples = new Map<Contestant, Sample[]>();
try {
  for (const contestant of CONTESTANTS) {
    const absent = contestant.absent();
    if (absent === undefined) samples.set(contestant, []);
    else process.stderr.write(`${contestant.name}: ${absent}\n`);
  }
  for (let round = 0; round < ROUNDS; round++) {
    // Rotates the order, so that none always follows the same one.
    const order = [...samples.keys()].map((_, i, all) => all[(i + round) % all.length]);
    for (const contestant of order) {
      const sample = await measure(contestant);
      samples.get(contestant)?.push(sample);
      const figures = `p99 ${sample.p99Us.toFixed(0)} µs, in the first ${SECONDS} s ${sample.firstP99Us.toFixed(0)} µs`;
      process.stderr.write(`round ${round + 1} of ${ROUNDS}, ${contestant.name}: ${figures}\n`);
    }
  }
  print();
} finally {
  origin.close();
  origin.closeAllConnections();
  await relay.stop();
  await redis.stop();
}

async function measure(contestant: Contestant): Promise<Sample> {
  const { server, port } = await launch(bench, contestant, origins);
  try {
    const plan = { rate: RATE, request: requestFor(contestant.path), bodyBytes: VALUE.length };
    const first = await openLoop(port, { ...plan, seconds: SECONDS });
    await openLoop(port, { ...plan, seconds: WARM_UP_S });
    const before = await loads();
    const { seconds, latency } = await openLoop(port, { ...plan, seconds: SECONDS });
    if (latency === undefined || first.latency === undefined) throw new Error('no latencies');
    return { ...latency, loadsPerSecond: ((await loads()) - before) / seconds, firstP99Us: first.latency.p99Us };
  } finally {
    await server.stop();
  }
}

async function loads(): Promise<number> {
  return httpLoads + (await redis.calls('get'));
}

function print(): void {
  console.log(
    `| | p50 | p99 | slowest | p99 of the first ${SECONDS} s | loads/s | sent late, p99 | version, settings |`,
  );
  console.log(`|${' --- |'.repeat(8)}`);
  for (const [{ name, version, settings }, all] of samples) {
    const ms = (of: (sample: Sample) => number): string =>
      `${spread(
        all.map((sample) => of(sample) / 1000),
        2,
      )} ms`;
    const cells = [
      ms(({ p50Us }) => p50Us),
      ms(({ p99Us }) => p99Us),
      ms(({ maxUs }) => maxUs),
      ms(({ firstP99Us }) => firstP99Us),
    ];
    cells.push(
      spread(
        all.map(({ loadsPerSecond }) => loadsPerSecond),
        2,
      ),
    );
    console.log(`| ${[name, ...cells, ms(({ lateUs }) => lateUs), `${version()}; ${settings}`].join(' | ')} |`);
  }
}
