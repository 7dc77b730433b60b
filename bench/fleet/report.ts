import { BOUND } from './balancers.ts';
import type { Fleet } from './fleet.ts';
import { SLICE_MS } from './resize.ts';
import { type Results, type Row, TOTAL_CAPACITY } from './scenarios.ts';

/** Smaller shares are shown as this upper bound. */
const MIN_SHARE = 0.00005;

/** Formats the report in Markdown. */
export function report(results: Results): string {
  return `# A fleet of proxies, simulated

\`npm run bench:fleet\` (seed ${results.seed}): the proxy's own cache in simulated time; the figures are the same on any machine.
Balancing: *random*; *ring*, consistent hashing of the key; *bounded*, consistent hashing in which requests beyond ${BOUND} times
the average rate of a replica go to the next one on the ring. Theoretical values (Che's approximation; for *bounded*, of a plain
ring) are in parentheses. *Stale*: responses with an overwritten value, and for how long it had been overwritten (mean, 99th
percentile); the share varies by a few percent of itself, as it depends on when a few popular keys are written. *Back*: stale
responses after a newer value of the key had been returned by any replica. *Busiest*: requests of the busiest replica, as a
multiple of the average.

${sections(results).join('\n')}`;
}

function sections({ grow, memory, sizing, popular, example, resize }: Results): string[] {
  const parts: string[] = [];
  const add = (title: string, rows: readonly Row[] | undefined, about: string): void => {
    if (rows !== undefined) parts.push(`## ${title}\n\n${describe(rows[0].fleet)} ${about}\n\n${table(rows)}\n`);
  };
  add('More replicas', grow, 'Each replica brings its own capacity.');
  add('The same memory in more replicas', memory, `${count(TOTAL_CAPACITY)} entries in total.`);
  add('Capacity and TTL', sizing, '');
  add('Writes that follow the reads', popular, 'Writes are distributed like reads.');
  add('Twenty pods, at full size', example, '');
  if (resize !== undefined) parts.push(resizeTable({ resize }));
  return parts;
}

/** Describes the workload that all fleets of a table share. */
function describe({ keys, exponent, readsPerSecond, writesPerSecond, writes }: Fleet): string {
  const which = writes === 'uniform' ? 'all keys equally often' : 'distributed like the reads';
  return (
    `${count(keys)} keys, Zipf ${exponent}; ${count(readsPerSecond)} reads per second of the whole fleet; ` +
    `${count(writesPerSecond)} writes per second, ${which}.`
  );
}

/** Formats a table with a row per fleet. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ fleet, found, predicted }) => {
    const pushes = fleet.tracking
      ? `${count(found.invalidationsPerSecond)} (${percent(found.invalidationsOfUse)} of cached keys)`
      : '';
    const stale = fleet.tracking
      ? percent(found.staleShare)
      : `${percent(found.staleShare)} (${percent(predicted.staleShare)})`;
    const staleFor =
      found.staleShare < MIN_SHARE ? '' : `${duration(found.staleMeanMs)}, ${duration(found.staleP99Ms)}`;
    return [
      fleet.replicas,
      fleet.replicas === 1 ? '–' : fleet.balancing,
      fleet.tracking ? 'tracking' : 'ttl',
      count(fleet.capacity),
      duration(fleet.ttlMs),
      `${percent(found.hitRatio)} (${percent(predicted.hitRatio)})`,
      count(found.loadsPerSecond),
      pushes,
      stale,
      staleFor,
      found.staleShare < MIN_SHARE ? '' : percent(found.backwardShare),
      `${found.busiest.toFixed(2)}×`,
    ].join(' | ');
  });
  return [
    '| replicas | balancing | coherence | capacity each | TTL | hits (theory) | loads/s | invalidations/s | stale (theory) | for | back | busiest |',
    `|${' --- |'.repeat(12)}`,
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}

function resizeTable({ resize }: Required<Pick<Results, 'resize'>>): string {
  const lines = (resize ?? []).map(({ fleet: { replicas, balancing }, change, before, after, extraLoads }) => {
    const to = change === 'join' ? replicas + 1 : replicas - 1;
    const ratios = [0, 1, 3, 5, 11, 23].map((slice) => percent(after[slice]));
    return `| ${replicas} → ${to} | ${balancing} | ${percent(before)} | ${ratios.join(' | ')} | ${count(extraLoads)} |`;
  });
  const seconds = [0, 1, 3, 5, 11, 23].map(
    (slice) => `${(slice * SLICE_MS) / 1000}–${((slice + 1) * SLICE_MS) / 1000} s`,
  );
  return `## One replica more or less

${describe((resize ?? [])[0].fleet)} Capacity ${count((resize ?? [])[0].fleet.capacity)} each. Hit ratio before the change
and during the given time after it; additional loads within two minutes, compared with no change. *jump*: jump hash;
*modulo*: the hash modulo the number of replicas.

| replicas | balancing | before | ${seconds.join(' | ')} | extra loads |
| --- | --- | --- |${' --- |'.repeat(seconds.length + 1)}
${lines.join('\n')}
`;
}

export function percent(share: number): string {
  const points = share * 100;
  if (share > 0 && share < MIN_SHARE) return `< ${percent(MIN_SHARE)}`;
  return `${points.toFixed(points < 0.095 && points > 0 ? 3 : 1)} %`;
}

export function count(number: number): string {
  return Math.round(number).toLocaleString('en');
}

function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 && milliseconds % 1000 !== 0 ? 1 : 0)} s`;
}
