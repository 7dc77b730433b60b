/**
 * Compares the proxy with its alternatives, each on one core: webdis, Varnish in front of webdis, nginx returning a
 * constant, a plain Nest application, bare node:http; over TLS, the caches of nginx and HAProxy; over the Redis protocol,
 * redis-server itself. `npm run bench`, or a
 * part of it: `npm run bench -- --only http-hits --rounds 1 --seconds 2`
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './peers/chart.ts';
import { chooseCores, pinSelf } from './peers/cores.ts';
import { type Log, measure } from './peers/measure.ts';
import { type Options, readOptions } from './peers/options.ts';
import { updateReadme } from './peers/readme.ts';
import { type Result, report } from './peers/report.ts';
import { Store } from './peers/store.ts';
import { surroundings } from './peers/surroundings.ts';
import { Workbench, installed } from './peers/workbench.ts';

/** Required commands and their Debian packages. */
const TOOLS = { taskset: 'util-linux', wrk: 'wrk', 'redis-server': 'redis-server', 'redis-benchmark': 'redis-tools' };

const options = readOptions(process.argv.slice(2));
if (typeof options === 'string') console.log(options);
else process.exitCode = await main(options);

async function main(options: Options): Promise<number> {
  const missing = Object.entries(TOOLS).filter(([command]) => !installed(command));
  const cores = process.platform === 'linux' ? chooseCores() : undefined;
  if (missing.length > 0 || cores === undefined) {
    if (missing.length > 0)
      console.error(`Missing commands: apt-get install ${missing.map(([, name]) => name).join(' ')}`);
    else console.error('Requires Linux and two cores, one of them for the load generator.');
    return 1;
  }
  pinSelf(cores.load);
  const bench = new Workbench(cores);
  const log = progress(options);
  log('filling redis-server');
  const store = await Store.start(bench);
  const results: Result[] = [];
  for (const one of options.cases) {
    const outcomes = await measure(bench, store, one, options, (what) => log(`${one.title}: ${what}`));
    results.push({ case: one, outcomes });
  }
  await store.stop();
  const text = report(results, surroundings(options.cases, cores, options));
  console.log(text);
  if (options.out !== undefined) write(options.out, results, text);
  if (options.forReadme) updateReadme(results);
  return results.some(({ outcomes }) => outcomes.some(({ problem }) => problem !== undefined)) ? 1 : 0;
}

function write(folder: string, results: readonly Result[], text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.md'), text);
  writeFileSync(join(folder, 'results.svg'), chart(results));
  const plain = results.map(({ case: { id, title }, outcomes }) => ({ id, title, outcomes }));
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(plain, null, 2)}\n`);
  console.error(`Written: results.md, results.svg and results.json in ${folder}`);
}

/** Returns a function that prints a line with the elapsed time to standard error. */
function progress({ cases, rounds }: Options): Log {
  const start = performance.now();
  console.error(`${cases.length} cases, ${rounds} rounds each`);
  return (what) => {
    const seconds = Math.floor((performance.now() - start) / 1000);
    console.error(`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}  ${what}`);
  };
}
