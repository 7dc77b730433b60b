import { element } from '../element.ts';
import { timeOfDay } from '../format.ts';
import type { Sample } from './history.ts';

interface Line {
  readonly label: string;
  /** The CSS variable with the colour. */
  readonly colour: string;
  readonly read: (sample: Sample) => number | null;
  readonly dash?: readonly number[];
  readonly filled?: boolean;
}

export interface ChartOptions {
  /** Id of the element that the chart is appended to. */
  readonly id: string;
  /** Text alternative of the chart. */
  readonly title: string;
  readonly lines: readonly Line[];
  readonly format: (value: number | null) => string;
  readonly logarithmic?: boolean;
  readonly range: (min: number | null, max: number | null) => [number, number];
}

/** Minimum and maximum span of the time axis, in seconds. */
const [MIN_SPAN_S, MAX_SPAN_S] = [60, 300];
const AXIS_FONT = '12px system-ui, sans-serif';

/**
 * A line chart over time, with a table of the values that serves as legend and text alternative. Needs the global `uPlot`
 * of uplot.js.
 */
export class Chart {
  readonly #options: ChartOptions;
  readonly #plot: HTMLElement;
  readonly #cells: readonly (readonly HTMLTableCellElement[])[];
  readonly #time: HTMLElement;
  #samples: readonly Sample[] = [];
  #uplot: uPlot;

  constructor(options: ChartOptions) {
    this.#options = options;
    const holder = element(options.id, HTMLElement);
    this.#plot = holder.appendChild(document.createElement('div'));
    this.#plot.className = 'plot';
    this.#plot.setAttribute('role', 'img');
    this.#plot.setAttribute('aria-label', `${options.title}: chart of the values in the following table.`);
    const table = legend(options);
    holder.append(table.element);
    this.#cells = table.cells;
    this.#time = table.time;
    this.#uplot = this.#draw();
    new ResizeObserver(() => this.#fit()).observe(this.#plot);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw());
  }

  show(samples: readonly Sample[]): void {
    this.#samples = samples;
    this.#uplot.setData(this.#data());
    this.#showValues();
  }

  #data(): uPlot.AlignedData {
    const columns = this.#options.lines.map(({ read }) => this.#samples.map(read));
    return [this.#samples.map(({ at }) => at), ...columns];
  }

  /** Writes the values at the pointer, or the newest, into the table. */
  #showValues(): void {
    const at = this.#uplot.cursor.idx ?? this.#samples.length - 1;
    const sample = this.#samples.at(at);
    const isNow = at >= this.#samples.length - 1 || sample === undefined;
    this.#time.textContent = isNow ? 'now' : timeOfDay(sample.at);
    for (const [i, { read }] of this.#options.lines.entries()) {
      const known = this.#samples.map(read).filter((value) => value !== null);
      const mean = known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
      const max = known.length === 0 ? null : Math.max(...known);
      const values = [sample === undefined ? null : read(sample), mean, max];
      for (const [j, cell] of this.#cells[i].entries()) cell.textContent = this.#options.format(values[j]);
    }
  }

  get #size(): { width: number; height: number } {
    return { width: this.#plot.clientWidth, height: this.#plot.clientHeight };
  }

  #fit(): void {
    this.#uplot.setSize(this.#size);
  }

  /** Draws the chart again, with the colours of the current theme. */
  #redraw(): void {
    this.#uplot.destroy();
    this.#uplot = this.#draw();
  }

  #draw(): uPlot {
    const { lines, range, logarithmic } = this.#options;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    return new uPlot(
      {
        ...this.#size,
        padding: [8, 8, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: 'dashboard' }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: {
          x: { range: (_plot, first, last) => span(first, last) },
          y: { distr: logarithmic ? 3 : 1, range: (_plot, min, max) => range(min, max) },
        },
        axes: this.#axes(colour('--muted'), colour('--line')),
        series: [
          {},
          ...lines.map((line) => ({
            stroke: colour(line.colour),
            width: 2,
            points: { show: false },
            spanGaps: false,
            ...(line.dash === undefined ? {} : { dash: [...line.dash] }),
            ...(line.filled ? { fill: `${colour(line.colour)}24` } : {}),
          })),
        ],
        hooks: { setCursor: [() => this.#showValues()] },
      },
      this.#data(),
      this.#plot,
    );
  }

  #axes(ink: string, grid: string): uPlot.Axis[] {
    const { format, logarithmic } = this.#options;
    const common = { stroke: ink, font: AXIS_FONT, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
    return [
      { ...common, grid: { show: false }, space: 76, size: 30, values: (_plot, splits) => splits.map(timeOfDay) },
      {
        ...common,
        size: 64,
        space: 34,
        values: (_plot, splits) => splits.map(format),
        ...(logarithmic ? { splits: (_plot: uPlot, _axis: number, from: number, to: number) => powers(from, to) } : {}),
      },
    ];
  }
}

/** Returns the powers of ten from `from` to `to`, both included. */
function powers(from: number, to: number): number[] {
  const [first, last] = [Math.round(Math.log10(from)), Math.round(Math.log10(to))];
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
}

function span(first: number | null, last: number | null): [number, number] {
  const end = last ?? Date.now() / 1000;
  const length = Math.min(Math.max(end - (first ?? end), MIN_SPAN_S), MAX_SPAN_S);
  return [end - length, end];
}

function legend({ title, lines }: ChartOptions) {
  const table = document.createElement('table');
  table.className = 'legend';
  table.createCaption().textContent = title;
  table.caption?.classList.add('visually-hidden');
  const head = table.createTHead().insertRow();
  const time = document.createElement('span');
  for (const content of ['', time, 'average', 'maximum']) {
    const cell = document.createElement(content === '' ? 'td' : 'th');
    if (content !== '') cell.setAttribute('scope', 'col');
    cell.append(content);
    head.append(cell);
  }
  const body = table.createTBody();
  const cells = lines.map(({ label, colour, dash }) => {
    const row = body.insertRow();
    const name = document.createElement('th');
    name.scope = 'row';
    const mark = document.createElement('span');
    mark.className = `mark ${dash === undefined ? '' : dash[0] < 4 ? 'dotted' : 'dashed'}`;
    mark.style.setProperty('--colour', `var(${colour})`);
    name.append(mark, label);
    row.append(name);
    return [row.insertCell(), row.insertCell(), row.insertCell()];
  });
  return { element: table, cells, time };
}
