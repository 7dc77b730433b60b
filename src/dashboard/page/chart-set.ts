import { Chart } from './chart.ts';
import { type ReadKind, READ_KINDS } from './figures.ts';
import { duration, percent, rate } from './format.ts';
import type { Sample } from './history.ts';

const READS: Readonly<Record<ReadKind, string>> = {
  hit: 'hits',
  miss: 'misses (loaded from Redis)',
  'not-found': 'not found',
  stale: 'stale, as Redis failed',
  refused: 'refused',
  failed: 'failed',
};

/** Draws the page's charts, and draws them anew for each sample. */
export function drawCharts(): (samples: readonly Sample[]) => void {
  const charts = [
    new Chart({
      id: 'chart-reads',
      title: 'Reads of keys per second',
      format: rate,
      range: fromZero(10),
      lines: READ_KINDS.map((kind) => ({
        label: READS[kind],
        colour: `--${kind}`,
        read: ({ reads }: Sample) => reads?.[kind] ?? null,
        filled: kind === 'hit',
      })),
    }),
    new Chart({
      id: 'chart-ratio',
      title: 'Hit ratio, over ten seconds, and how full the cache is',
      format: percent,
      range: () => [0, 1],
      lines: [
        { label: 'hits among reads', colour: '--hit', read: ({ hitRatio }) => hitRatio, filled: true },
        { label: 'entries of their limit', colour: '--stale', read: ({ fill }) => fill.entries, dash: [6, 4] },
        { label: 'bytes of their limit', colour: '--refused', read: ({ fill }) => fill.bytes, dash: [2, 3] },
      ],
    }),
    new Chart({
      id: 'chart-latency',
      title: 'Time Redis takes for a load, over ten seconds',
      format: duration,
      logarithmic: true,
      range: decades,
      lines: [
        { label: 'half are faster (p50)', colour: '--miss', read: ({ median }) => median },
        { label: '99 of 100 are faster (p99)', colour: '--failed', read: ({ p99 }) => p99, dash: [6, 4] },
      ],
    }),
    new Chart({
      id: 'chart-dropped',
      title: 'Entries dropped per second',
      format: rate,
      range: fromZero(5),
      lines: [
        { label: 'evicted, to make room', colour: '--miss', read: ({ dropped }) => dropped?.evicted ?? null },
        { label: 'expired', colour: '--not-found', read: ({ dropped }) => dropped?.expired ?? null, dash: [2, 3] },
        { label: 'purged', colour: '--stale', read: ({ dropped }) => dropped?.purged ?? null, dash: [6, 4] },
      ],
    }),
  ];
  return (samples) => {
    for (const chart of charts) chart.show(samples);
  };
}

/** From 0 to a little more than the most, and to `least` at least. */
function fromZero(least: number) {
  return (_least: number | null, most: number | null): [number, number] => [0, Math.max((most ?? 0) * 1.1, least)];
}

/** Whole powers of ten around what there is. */
function decades(least: number | null, most: number | null): [number, number] {
  if (least === null || most === null || least <= 0) return [1e-4, 1e-1];
  const [from, to] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
  return [10 ** from, 10 ** Math.max(to, from + 1)];
}
