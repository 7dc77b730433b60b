import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { Page } from './markdown.ts';

interface Outcome {
  readonly name: string;
  readonly samples: readonly { readonly rate: number; readonly cpuUs: number }[];
}

const ROOT = new URL('../../', import.meta.url);
const results = JSON.parse(readFileSync(new URL('bench/results.json', ROOT), 'utf8')) as readonly {
  readonly id: string;
  readonly title: string;
  readonly outcomes: readonly Outcome[];
}[];
const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8').replace(/\s+/g, ' ');

/** The median of the samples of a benchmark, of one of the servers. */
function measured(id: string, figure: 'rate' | 'cpuUs', name = 'this proxy'): number {
  const outcome = results.find((one) => one.id === id)?.outcomes.find((one) => one.name === name);
  const sorted = (outcome?.samples ?? []).map((sample) => sample[figure]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** The first number of a text like `180 k` or `180.4 (177.7–182.4) k`, times 1,000. */
const thousands = (text: string): number => Number(/([\d.]+) (?:\(.*?\) )?k/.exec(text)?.[1]) * 1000;

describe('figures of the latest benchmark, bench/results.json', () => {
  it.each(results.filter(({ title }) => !/latency|many entries/.test(title)).map(({ id, title }) => [title, id]))(
    'match README.md and bench/results.md: %s',
    (title, id) => {
      const row = new Page('README.md').rows('requests/s on one core').find(([head]) => head === title);
      expect(thousands(row?.[1] ?? '') / measured(id, 'rate')).toBeCloseTo(1, 2);
      const section = readFileSync(new URL('bench/results.md', ROOT), 'utf8').split(`## ${title}\n`)[1];
      const line = /^\| this proxy \|.*$/m.exec(section)?.[0] ?? '';
      expect(thousands(line) / measured(id, 'rate')).toBeCloseTo(1, 3);
      expect(line).toContain(` ${measured(id, 'cpuUs').toFixed(1)} (`);
    },
  );

  it('match docs/operations.md, also in its calculation', () => {
    const [hit, large, miss] = ['http-hits', 'http-hits-10k', 'http-misses'].map((id) =>
      measured(id, 'cpuUs').toFixed(1),
    );
    const cores = (45_000 * Number(hit) + 5000 * Number(miss)) / 1e6;
    expect(textOf('docs/operations.md')).toContain(
      `A hit of 100 bytes costs ${hit} µs of CPU time, one of 10 KiB ${large} µs, a miss with its Redis on the same core ${miss} µs`,
    );
    expect(textOf('docs/operations.md')).toContain(
      `45,000 × ${hit} µs + 5,000 × ${miss} µs = ${cores.toFixed(2)} cores`,
    );
  });

  it('match docs/performance.md for misses', () => {
    const cpu = new Map(new Page('docs/performance.md').rows('').map(([head, , ...rest]) => [head, rest]));
    expect(cpu.size).toBeGreaterThan(0);
    expect(textOf('docs/performance.md')).toContain(`| ${measured('http-misses', 'cpuUs').toFixed(1)} (`);
    expect(textOf('docs/performance.md')).toContain(`| ${measured('http-misses', 'cpuUs', 'webdis').toFixed(1)} (`);
  });

  it('match docs/scaling.md', () => {
    const rounded = (id: string): string => `${Math.floor(measured(id, 'rate') / 1000)},000`;
    expect(textOf('docs/scaling.md')).toContain(
      `some ${rounded('http-hits')} hits/s of 100 bytes, and ${rounded('http-mixed')}/s of mixed traffic`,
    );
  });

  it('are linked, not repeated, on all other pages', () => {
    const pages = globSync(['*.md', 'docs/*.md', 'docs/decisions/*.md', 'deploy/**/*.md'], { cwd: ROOT.pathname });
    const quoting = pages.filter((page) => /\d,000 hits(?:\/s| a second| per second)/.test(textOf(page)));
    expect(quoting).toEqual(['docs/scaling.md']);
  });
});

it('docs/operations.md quotes the memory of an entry that docs/performance.md has', () => {
  const rows = new Page('docs/performance.md').rows('');
  const sizes = rows
    .filter(([head]) => head === 'resident when used, B an entry')
    .map(([, size]) => size.split(' ')[0]);
  const quoted = new Page('docs/operations.md').rows('value').map(([, , size]) => size.replace(' B', ''));
  // The table of the cache has a million entries in its last two blocks: 100 B, then 4 KiB.
  expect([quoted[0], quoted[2]]).toEqual(sizes.slice(2));
});

it('docs/scaling.md quotes the simulation of bench/fleet/results.md', () => {
  const simulated = new Page('bench/fleet/results.md').rows('replicas');
  const rows = new Page('docs/scaling.md').rows('replicas').filter((row) => row.length === 9);
  const hits = (replicas: string, balancing: string): string | undefined =>
    simulated.find(
      (row) =>
        row[0] === replicas.replace(',', '') &&
        row[1] === balancing &&
        row[2] === 'ttl' &&
        row[3] === '1,000' &&
        row[4] === '60 s',
    )?.[5];
  expect(rows).toHaveLength(10);
  for (const [replicas, random, ring, bounded] of rows.slice(1)) {
    expect(hits(replicas, 'random')).toContain(random);
    expect(hits(replicas, 'ring')).toContain(ring);
    expect(hits(replicas, 'bounded')).toContain(bounded);
  }
});
