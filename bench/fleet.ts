/**
 * Simulates hit ratio, loads and staleness of a fleet of proxies: N of the project's own caches in simulated time, with
 * Zipf-distributed reads, balanced at random or by key. Deterministic for a seed, on a single thread; takes some minutes.
 * Prints the theoretical hit ratio beside each simulated one.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './fleet/chart.ts';
import { type Fleet, wholeRun } from './fleet/fleet.ts';
import { readOptions } from './fleet/options.ts';
import { count, percent, report, table } from './fleet/report.ts';
import { type Results, type Log, simulateAll } from './fleet/scenarios.ts';
import { simulate } from './fleet/simulation.ts';
import { predict } from './fleet/theory.ts';

const options = readOptions(process.argv.slice(2));
switch (options.kind) {
  case 'help':
    console.log(options.text);
    break;
  case 'fleet':
    if (options.onlyTheory) showTheory(options.fleet);
    else showOne(options.fleet, options.seed);
    break;
  case 'scenarios': {
    const results = simulateAll(options.scenarios, options.seed, progress());
    console.log(report(results));
    if (options.out !== undefined) write(options.out, results);
    break;
  }
}

function showOne(fleet: Fleet, seed: number): void {
  const run = wholeRun(fleet, seed);
  const events = ((run.warmUpMs + run.measuredMs) / 1000) * (fleet.readsPerSecond + fleet.writesPerSecond);
  console.error(`${Math.round(events / 1e6)} million requests; a million takes some seconds`);
  console.log(table([{ fleet, found: simulate(fleet, run), predicted: predict(fleet) }]));
}

function showTheory(fleet: Fleet): void {
  const { hitRatio, loadsPerSecond, staleShare } = predict(fleet);
  console.log(`hits ${percent(hitRatio)}, loads/s ${count(loadsPerSecond)}, stale ${percent(staleShare)}`);
}

function write(folder: string, results: Results): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.md'), report(results));
  writeFileSync(join(folder, 'results.svg'), chart(results));
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  console.error(`Written: results.md, results.svg and results.json in ${folder}`);
}

/** Returns a function that prints a line with the elapsed time to standard error. */
function progress(): Log {
  const start = performance.now();
  return (what) => {
    const seconds = Math.floor((performance.now() - start) / 1000);
    console.error(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}  ${what}`);
  };
}
