import type { ColdStart } from './cold-start.ts';
import { count } from './report.ts';
import { type Axis, type Line, type Panel, type Point, draw } from './panel.ts';
import { SLICE_MS } from './resize.ts';
import type { Results, Row } from './scenarios.ts';

const WIDTH = 900;
const COLUMN = WIDTH / 2;
const MARGIN = 20;
const PANEL_HEIGHT = 250;

const STYLE = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .small { font-size: 11px; }
  .ground { fill: #ffffff; }
  .grid { stroke: #d8dee4; stroke-width: 1; }
  .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
  .a { stroke: #cf222e; } .b { stroke: #2f6fde; } .c { stroke: #1a7f37; } .d { stroke: #9a6700; }
  .dashed { stroke-dasharray: 6 4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ground { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .a { stroke: #ff7b72; } .b { stroke: #6cb0ff; } .c { stroke: #56d364; } .d { stroke: #e3b341; }
  }`;

const REPLICAS: Axis = { ticks: [1, 10, 100, 1000], text: count, logarithmic: true };
const points = (value: number): string => `${(value * 100).toFixed(0)} %`;
const SHARE: Axis = { ticks: [0, 0.25, 0.5, 0.75, 1], text: points, logarithmic: false };

/** Draws hit ratio, loads, invalidations and the busiest replica by fleet size, and the effect of a resize. Returns an SVG. */
export function chart({ grow, resize }: Results): string {
  const panels = [...(grow === undefined ? [] : growth(grow)), ...(resize === undefined ? [] : [course(resize)])];
  const height = Math.ceil(panels.length / 2) * (PANEL_HEIGHT + MARGIN) + MARGIN;
  const drawn = panels.map((panel, i) =>
    draw(
      panel,
      COLUMN - 2 * MARGIN,
      PANEL_HEIGHT,
      (i % 2) * COLUMN + MARGIN,
      Math.floor(i / 2) * (PANEL_HEIGHT + MARGIN) + MARGIN,
    ),
  );
  const title = 'A fleet of 1 to 1,000 proxies: hit ratio, loads on Redis, invalidations, the busiest replica';
  return image(title, height, drawn);
}

/** Draws the share of misses in each second after a cold start, without and with jitter. Returns an SVG. */
export function coldStartChart(runs: readonly ColdStart[]): string {
  const styles = ['a', 'b'];
  const panel: Panel = {
    title: 'Misses, of the reads in each second, after a start with an empty cache',
    x: { ticks: [0, 60, 120, 180, 240], text: (value) => `${value} s`, logarithmic: false },
    // The first seconds are beyond it: nothing is cached.
    y: { ticks: [0, 0.1, 0.2, 0.3], text: points, logarithmic: false },
    lines: runs.map(({ name, missRatios }, i) => ({
      name,
      style: styles[i],
      points: missRatios.map((ratio, second): Point => [second + 0.5, Math.min(ratio, 0.3)]),
    })),
  };
  return image(panel.title, PANEL_HEIGHT + 2 * MARGIN, [draw(panel, WIDTH - 2 * MARGIN, PANEL_HEIGHT, MARGIN, MARGIN)]);
}

/** Returns an SVG for light and dark mode. */
function image(title: string, height: number, drawn: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>${title}</title>
<style>${STYLE}
</style>
<rect class="ground" width="${WIDTH}" height="${height}" rx="8"/>
${drawn.join('\n')}
</svg>
`;
}

function growth(rows: readonly Row[]): Panel[] {
  const line = (name: string, style: string, balancing: string, tracking: boolean, y: (row: Row) => number): Line => ({
    name,
    style,
    points: rows
      .filter(({ fleet }) => (fleet.replicas === 1 || fleet.balancing === balancing) && fleet.tracking === tracking)
      .map((row): Point => [row.fleet.replicas, y(row)]),
  });
  const all = (tracking: boolean, y: (row: Row) => number): Line[] => [
    line('random', 'a', 'random', tracking, y),
    line('ring', 'b', 'ring', tracking, y),
    line('bounded', 'c', 'bounded', tracking, y),
  ];
  const loads: Axis = { ticks: [0, 200, 400, 600, 800, 1000], text: count, logarithmic: false };
  const times: Axis = { ticks: [1, 10, 100], text: (value) => `${value}×`, logarithmic: true };
  const messages: Axis = { ticks: [100, 1000, 10_000, 100_000], text: count, logarithmic: true };
  return [
    { title: 'Hit ratio, by replicas', x: REPLICAS, y: SHARE, lines: all(false, ({ found }) => found.hitRatio) },
    {
      title: 'Loads on Redis per second, of 1,000 reads',
      x: REPLICAS,
      y: loads,
      lines: all(false, ({ found }) => found.loadsPerSecond),
    },
    {
      title: 'Busiest replica ÷ average',
      x: REPLICAS,
      y: times,
      lines: all(false, ({ found }) => found.busiest),
    },
    {
      title: 'Stale responses',
      x: REPLICAS,
      y: {
        ticks: [0, 0.05, 0.1, 0.15, 0.2, 0.25],
        text: points,
        logarithmic: false,
      },
      lines: [
        line('random, ttl', 'a', 'random', false, ({ found }) => found.staleShare),
        line('ring, ttl', 'b', 'ring', false, ({ found }) => found.staleShare),
        line('tracking', 'd dashed', 'random', true, ({ found }) => found.staleShare),
      ],
    },
    {
      title: 'Invalidations per second (100 writes/s)',
      x: REPLICAS,
      y: messages,
      lines: [line('tracking', 'd dashed', 'random', true, ({ found }) => found.invalidationsPerSecond)],
    },
  ];
}

function course(resizes: NonNullable<Results['resize']>): Panel {
  const styles: Record<string, string> = { random: 'a', ring: 'b', jump: 'c dashed', modulo: 'd' };
  const lines = resizes
    .filter(({ change }) => change === 'join')
    .map(({ fleet: { balancing }, before, after }): Line => ({
      name: balancing,
      style: styles[balancing],
      points: [[0, before], ...after.map((ratio, slice): Point => [((slice + 0.5) * SLICE_MS) / 1000, ratio])],
    }));
  return {
    title: 'Hit ratio when a 21st replica joins',
    x: { ticks: [0, 30, 60, 90, 120], text: (value) => `${value} s`, logarithmic: false },
    y: { ticks: [0.5, 0.6, 0.7, 0.8, 0.9, 1], text: points, logarithmic: false },
    lines,
  };
}
