/**
 * Simulates hit ratio, loads and staleness of a fleet of proxies: N of the project's own caches in simulated time, with
 * Zipf-distributed reads, balanced at random or by key. Deterministic for a seed, on a single thread; takes some minutes.
 * Prints the theoretical hit ratio beside each simulated one.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart, coldStartChart } from './fleet/chart.ts';
import { coldStarts } from './fleet/cold-start.ts';
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
  case 'cold-start':
    showColdStart(options.seed, options.out);
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

/** Prints the highest share of misses in a second of each wave of expiries, and draws all of them. */
function showColdStart(seed: number, out: string | undefined): void {
  const runs = coldStarts(seed);
  console.log('| | 50 to 69 s | 110 to 129 s | 170 to 189 s | mean from 30 s |');
  console.log(`|${' --- |'.repeat(5)}`);
  for (const { name, missRatios } of runs) {
    const peaks = [50, 110, 170].map((from) => percent(Math.max(...missRatios.slice(from, from + 20))));
    const settled = missRatios.slice(30);
    console.log(
      `| ${[name, ...peaks, percent(settled.reduce((sum, each) => sum + each) / settled.length)].join(' | ')} |`,
    );
  }
  if (out === undefined) return;
  writeFileSync(join(out, 'cold-start.svg'), coldStartChart(runs));
  console.error(`Written: cold-start.svg in ${out}`);
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
