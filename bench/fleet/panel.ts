const LEFT = 62;
const TOP = 30;
/** Height of the scale and the legend below a panel. */
const BOTTOM = 54;
const LEGEND = 34;
const LEGEND_WIDTH = 96;

export type Point = readonly [x: number, y: number];

export interface Line {
  readonly name: string;
  /** CSS classes of the line. */
  readonly style: string;
  readonly points: readonly Point[];
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly x: Axis;
  readonly y: Axis;
}

export interface Axis {
  /** Tick values; the axis extends from the first to the last. */
  readonly ticks: readonly number[];
  readonly text: (value: number) => string;
  readonly logarithmic: boolean;
}

/** Returns the SVG elements of a line chart with a legend, in a rectangle. */
export function draw({ title, lines, x, y }: Panel, across: number, down: number, left: number, top: number): string {
  const [width, height] = [across - LEFT, down - TOP - BOTTOM];
  const atX = scale(x, left + LEFT, width);
  const atY = scale(y, top + TOP + height, -height);
  const parts = [`<text class="title" x="${left}" y="${top + 12}">${title}</text>`];
  for (const tick of y.ticks) {
    const at = atY(tick).toFixed(1);
    parts.push(`<line class="grid" x1="${left + LEFT}" x2="${left + LEFT + width}" y1="${at}" y2="${at}"/>`);
    parts.push(
      `<text class="small" text-anchor="end" x="${left + LEFT - 6}" y="${(atY(tick) + 4).toFixed(1)}">${y.text(tick)}</text>`,
    );
  }
  for (const tick of x.ticks) {
    parts.push(
      `<text class="small" text-anchor="middle" x="${atX(tick).toFixed(1)}" y="${top + TOP + height + 16}">${x.text(tick)}</text>`,
    );
  }
  lines.forEach(({ name, style, points }, i) => {
    const path = points
      .map(([px, py], at) => `${at === 0 ? 'M' : 'L'}${atX(px).toFixed(1)} ${atY(py).toFixed(1)}`)
      .join('');
    parts.push(`<path class="line ${style}" d="${path}"/>`);
    const [legendX, legendY] = [left + LEFT + i * LEGEND_WIDTH, top + TOP + height + LEGEND];
    parts.push(`<path class="line ${style}" d="M${legendX} ${legendY - 4}h18"/>`);
    parts.push(`<text class="small" x="${legendX + 23}" y="${legendY}">${name}</text>`);
  });
  return parts.join('\n');
}

function scale({ ticks, logarithmic }: Axis, from: number, length: number): (value: number) => number {
  const place = logarithmic ? Math.log : (value: number): number => value;
  const [first, last] = [place(ticks[0]), place(ticks.at(-1) ?? 1)];
  return (value) => from + ((place(value) - first) / (last - first)) * length;
}
