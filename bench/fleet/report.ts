import { BOUND } from './balancers.ts';
import type { Fleet } from './fleet.ts';
import { SLICE_MS } from './resize.ts';
import { type Results, type Row, TOTAL_CAPACITY } from './scenarios.ts';

/** Less than that is as good as nothing. */
const MIN_SHARE = 0.00005;

/** The whole report, in Markdown. */
export function report(results: Results): string {
  return `# A fleet of proxies, simulated

\`npm run bench:fleet\` (seed ${results.seed}): the proxy's own cache, in simulated time; the same figures on any machine.
Balancing: *random*; *ring*, consistent hashing of the key; *bounded*, the same, but a replica that has ${BOUND} times the
average lets the rest go to the next ones on the ring. In brackets what theory gives (Che's approximation; for *bounded*, that
of a ring). *Stale*: answers that were out of date, and for how long (mean, 99th percentile) they had been; their share hangs
on when a few popular keys happen to be written, and is some percent of itself off. *Back*: the stale ones before which
somebody, anywhere, had been given a later value. *Busiest*: requests of the replica that has most, as a multiple of the average.

${sections(results).join('\n')}`;
}

function sections({ grow, memory, sizing, popular, example, resize }: Results): string[] {
  const parts: string[] = [];
  const add = (title: string, rows: readonly Row[] | undefined, about: string): void => {
    if (rows !== undefined) parts.push(`## ${title}\n\n${describe(rows[0].fleet)} ${about}\n\n${table(rows)}\n`);
  };
  add('More replicas', grow, 'Each replica brings its own capacity.');
  add('The same memory in more replicas', memory, `${count(TOTAL_CAPACITY)} entries in all.`);
  add('Capacity and TTL', sizing, '');
  add('Writes that follow the reads', popular, 'The keys that are read most are written most.');
  add('Twenty pods, at full size', example, '');
  if (resize !== undefined) parts.push(resizeTable({ resize }));
  return parts;
}

/** What all fleets of a table have in common. */
function describe({ keys, exponent, readsPerSecond, writesPerSecond, writes }: Fleet): string {
  const which = writes === 'uniform' ? 'all keys equally often' : 'as they are read';
  return (
    `${count(keys)} keys, Zipf ${exponent}; the whole fleet is asked ${count(readsPerSecond)} times per second; ` +
    `${count(writesPerSecond)} writes per second, ${which}.`
  );
}

/** A line for each fleet. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ fleet, found, predicted }) => {
    const pushes = fleet.tracking
      ? `${count(found.invalidationsPerSecond)} (${percent(found.invalidationsOfUse)} of use)`
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
    const courses = [0, 1, 3, 5, 11, 23].map((slice) => percent(after[slice]));
    return `| ${replicas} → ${to} | ${balancing} | ${percent(before)} | ${courses.join(' | ')} | ${count(extraLoads)} |`;
  });
  const seconds = [0, 1, 3, 5, 11, 23].map(
    (slice) => `${(slice * SLICE_MS) / 1000}–${((slice + 1) * SLICE_MS) / 1000} s`,
  );
  return `## One replica more or less

${describe((resize ?? [])[0].fleet)} Capacity ${count((resize ?? [])[0].fleet.capacity)} each. The hit ratio before, and so
long after; loads, in two minutes, beyond those without the change. *jump*: jump hash; *modulo*: the hash modulo the number of replicas.

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
