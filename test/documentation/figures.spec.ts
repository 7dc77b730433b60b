import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';

interface Outcome {
  readonly name: string;
  readonly samples: readonly { readonly rate: number; readonly cpuUs: number }[];
}

const ROOT = new URL('../../', import.meta.url);
const results = JSON.parse(readFileSync(new URL('bench/results.json', ROOT), 'utf8')) as readonly {
  readonly id: string;
  readonly outcomes: readonly Outcome[];
}[];
const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8').replace(/\s+/g, ' ');

/** The median of what the proxy was measured at. */
function measured(id: string, figure: 'rate' | 'cpuUs'): number {
  const outcome = results.find((one) => one.id === id)?.outcomes.find(({ name }) => name === 'this proxy');
  const sorted = (outcome?.samples ?? []).map((sample) => sample[figure]).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

it('docs/operations.md quotes the CPU time of the latest benchmark, and calculates with it', () => {
  const [hit, large, miss] = ['http-hits', 'http-hits-10k', 'http-misses'].map((id) =>
    measured(id, 'cpuUs').toFixed(1),
  );
  const cores = (45_000 * Number(hit) + 5000 * Number(miss)) / 1e6;
  expect(textOf('docs/operations.md')).toContain(
    `A hit of 100 bytes costs ${hit} µs of CPU time, one of 10 KiB ${large} µs, a miss with its Redis on the same core ${miss} µs`,
  );
  expect(textOf('docs/operations.md')).toContain(`45,000 × ${hit} µs + 5,000 × ${miss} µs = ${cores.toFixed(2)} cores`);
});

it('docs/scaling.md quotes the rates of the latest benchmark', () => {
  const thousands = (id: string): string => `${Math.floor(measured(id, 'rate') / 1000)},000`;
  expect(textOf('docs/scaling.md')).toContain(
    `some ${thousands('http-hits')} hits/s of 100 bytes, and ${thousands('http-mixed')}/s of mixed traffic`,
  );
});
