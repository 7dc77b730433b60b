import { Counter, Gauge, type Metric, Registry, collectDefaultMetrics } from 'prom-client';

/** The start of every name of ours. */
export const PREFIX = 'redis_http_cache_proxy_';

/** Defaults that grow with the thread that counts them; the next scrape may meet another. */
const COUNTED_PER_THREAD = [
  'process_cpu_seconds_total',
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'nodejs_gc_duration_seconds',
];

/** Defaults that are called totals and are none. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** A histogram that was observed elsewhere: how many fell into each bucket, and their sum. */
export interface Observations {
  /** Upper bounds, ascending. */
  readonly bounds: readonly number[];
  /** One for each bound, and one for what is above the last. */
  readonly counts: readonly number[];
  readonly sum: number;
}

type Labelled = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

/** Metrics that are read, when they are asked for, from where they are kept. */
export class MetricSet {
  readonly registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    for (const name of [...COUNTED_PER_THREAD, ...MISNAMED]) this.registry.removeSingleMetric(name);
    this.#processTime();
  }

  #processTime(): void {
    const read = { user: () => process.cpuUsage().user, system: () => process.cpuUsage().system };
    for (const mode of ['user', 'system'] as const) {
      new Counter({
        name: `process_cpu_${mode}_seconds_total`,
        help: `CPU time that the process has spent in ${mode} mode.`,
        registers: [this.registry],
        collect() {
          this.reset();
          this.inc(read[mode]() / 1e6);
        },
      });
    }
  }

  /** Values that only grow; `name` without the `_total` that Prometheus wants. */
  counter(name: string, help: string, labelNames: readonly string[], read: () => Labelled): void {
    new Counter({
      name: `${PREFIX}${name}_total`,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  }

  gauge(name: string, help: string, labelNames: readonly string[], read: () => Labelled): void {
    new Gauge({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
  }

  /** prom-client's own histograms can only be observed, not set; a registry takes anything that can tell its values. */
  histogram(name: string, help: string, read: () => Observations): void {
    const fullName = PREFIX + name;
    const metric = {
      name: fullName,
      help,
      type: 'histogram',
      aggregator: 'sum',
      reset: () => undefined,
      get: () => Promise.resolve({ name: fullName, help, type: 'histogram', values: samples(fullName, read()) }),
    };
    this.registry.registerMetric(metric as unknown as Metric);
  }
}

function samples(name: string, { bounds, counts, sum }: Observations) {
  let total = 0;
  const buckets = counts.map((count, i) => {
    total += count;
    return {
      metricName: `${name}_bucket`,
      labels: { le: i < bounds.length ? String(bounds[i]) : '+Inf' },
      value: total,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: {}, value: sum },
    { metricName: `${name}_count`, labels: {}, value: total },
  ];
}
