import { type Result, figureOf, shortFigure } from './report.ts';

const WIDTH = 900;
const COLUMN = WIDTH / 2;
const MARGIN = 20;
const LABEL = 128;
const VALUE = 64;
const BAR = COLUMN - 2 * MARGIN - LABEL - VALUE;
const ROW = 22;
const HEAD = 34;

const STYLE = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .ground { fill: #ffffff; }
  .bar { fill: #a8b3c0; }
  .first { fill: #2f6fde; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ground { fill: #0d1117; }
    .bar { fill: #57606c; }
    .first { fill: #4f8ff7; }
  }`;

interface Bar {
  readonly name: string;
  readonly figure: number;
  readonly label: string;
}

/** Draws the bars of all cases in two columns, highlighting the first contestant. Returns an SVG for light and dark mode. */
export function chart(results: readonly Result[]): string {
  const heights = [MARGIN, MARGIN];
  const panels = results.flatMap((result) => {
    const bars = barsOf(result);
    if (bars.length === 0) return [];
    const column = heights[0] <= heights[1] ? 0 : 1;
    const panel = drawn(result, bars, column * COLUMN + MARGIN, heights[column]);
    heights[column] += HEAD + bars.length * ROW + 10;
    return [panel];
  });
  const height = Math.max(...heights) + MARGIN / 2;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>Requests per second on one core, and latency</title>
<style>${STYLE}
</style>
<rect class="ground" width="${WIDTH}" height="${height}" rx="8"/>
${panels.join('\n')}
</svg>
`;
}

function barsOf(result: Result): Bar[] {
  return result.outcomes.flatMap((outcome) => {
    const figure = figureOf(result, outcome);
    return figure === undefined ? [] : [{ name: outcome.name, figure, label: shortFigure(result, outcome, figure) }];
  });
}

function drawn({ case: { title, latency } }: Result, bars: readonly Bar[], x: number, y: number): string {
  const max = Math.max(...bars.map(({ figure }) => figure));
  const unit = latency ? 'p99, less is better' : 'requests/s';
  const lines = [`<text class="title" x="${x}" y="${y + 14}">${title} (${unit})</text>`];
  bars.forEach(({ name, figure, label }, i) => {
    const top = y + HEAD - 6 + i * ROW;
    const width = Math.max(2, (figure / max) * BAR);
    // Omits the words with which all names of a case start.
    lines.push(`<text x="${x}" y="${top + 12}">${name.replace('this proxy, ', '')}</text>`);
    lines.push(
      `<rect class="${i === 0 ? 'first' : 'bar'}" x="${x + LABEL}" y="${top}" width="${width.toFixed(1)}" height="16" rx="2"/>`,
    );
    lines.push(`<text x="${(x + LABEL + width + 6).toFixed(1)}" y="${top + 12}">${label}</text>`);
  });
  return lines.join('\n');
}
