import { Chart } from './chart.ts';
import { type ReadKind, READ_KINDS } from './statistics.ts';
import { duration, percent, rate } from '../format.ts';
import type { Sample } from './history.ts';

const READS: Readonly<Record<ReadKind, string>> = {
  hit: 'hits',
  miss: 'misses (loaded from Redis)',
  'not-found': 'not found',
  revalidating: 'stale (being reloaded)',
  stale: 'stale (Redis unavailable)',
  refused: 'refused',
  failed: 'failed',
};

/** Creates the charts of the page. @returns a function that redraws them with new samples. */
export function drawCharts(): (samples: readonly Sample[]) => void {
  const charts = [
    new Chart({
      id: 'chart-reads',
      title: 'Reads per second, by outcome',
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
      title: 'Hit ratio (ten seconds) and cache usage',
      format: percent,
      range: () => [0, 1],
      lines: [
        { label: 'hit ratio', colour: '--hit', read: ({ hitRatio }) => hitRatio, filled: true },
        { label: 'entries, % of capacity', colour: '--stale', read: ({ fill }) => fill.entries, dash: [6, 4] },
        { label: 'bytes, % of capacity', colour: '--refused', read: ({ fill }) => fill.bytes, dash: [2, 3] },
      ],
    }),
    new Chart({
      id: 'chart-latency',
      title: 'Load duration (ten seconds)',
      format: duration,
      logarithmic: true,
      range: decades,
      lines: [
        { label: 'p50', colour: '--miss', read: ({ median }) => median },
        { label: 'p99', colour: '--failed', read: ({ p99 }) => p99, dash: [6, 4] },
      ],
    }),
    new Chart({
      id: 'chart-evictions',
      title: 'Evictions per second',
      format: rate,
      range: fromZero(5),
      lines: [
        { label: 'evicted at a limit', colour: '--miss', read: ({ evictions }) => evictions?.evicted ?? null },
        { label: 'expired', colour: '--not-found', read: ({ evictions }) => evictions?.expired ?? null, dash: [2, 3] },
        { label: 'purged', colour: '--stale', read: ({ evictions }) => evictions?.purged ?? null, dash: [6, 4] },
      ],
    }),
  ];
  return (samples) => {
    for (const chart of charts) chart.show(samples);
  };
}

/** Returns a range from 0 to a tenth above the maximum, and at least to `minimum`. */
function fromZero(minimum: number) {
  return (_min: number | null, max: number | null): [number, number] => [0, Math.max((max ?? 0) * 1.1, minimum)];
}

/** Returns the range between the powers of ten around the values. */
function decades(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null || min <= 0) return [1e-4, 1e-1];
  const [from, to] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
  return [10 ** from, 10 ** Math.max(to, from + 1)];
}
