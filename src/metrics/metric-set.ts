import { Counter, Gauge, type Metric, Registry, collectDefaultMetrics } from 'prom-client';

/** Prefix of the names of the proxy's own metrics. */
const PREFIX = 'redis_http_cache_proxy_';

/** Default counters that are per thread, so that consecutive scrapes may read different ones. */
const COUNTED_PER_THREAD = [
  'process_cpu_seconds_total',
  'process_cpu_user_seconds_total',
  'process_cpu_system_seconds_total',
  'nodejs_gc_duration_seconds',
];

/** Default gauges whose name ends in `_total`, which is reserved for counters. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** A histogram whose values were recorded elsewhere. */
export interface Observations {
  /** Upper bounds of the buckets, ascending. */
  readonly bounds: readonly number[];
  /** Observations in each bucket, not cumulative; the last bucket has no upper bound. */
  readonly counts: readonly number[];
  readonly sum: number;
}

type Labelled = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];

/** Metrics whose values are read from their source at each scrape. */
export class MetricSet {
  readonly registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
    for (const name of [...COUNTED_PER_THREAD, ...MISNAMED]) this.registry.removeSingleMetric(name);
    this.#addProcessTime();
  }

  #addProcessTime(): void {
    const read = { user: () => process.cpuUsage().user, system: () => process.cpuUsage().system };
    for (const mode of ['user', 'system'] as const) {
      new Counter({
        name: `process_cpu_${mode}_seconds_total`,
        help: `CPU time spent by the process in ${mode} mode, in seconds.`,
        registers: [this.registry],
        collect() {
          this.reset();
          this.inc(read[mode]() / 1e6);
        },
      });
    }
  }

  /** Adds a counter; `_total` is appended to `name`. */
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

  /** Adds a gauge; without labels and without a value it is absent. */
  gauge(name: string, help: string, labelNames: readonly string[], read: () => Labelled): void {
    new Gauge({
      name: PREFIX + name,
      help,
      labelNames,
      registers: [this.registry],
      collect() {
        this.reset();
        const values = read();
        // prom-client exports 0 for a gauge without labels that was never set.
        if (values.length === 0) this.remove({});
        for (const [labels, value] of values) this.set(labels, value);
      },
    });
  }

  /** Adds a histogram. prom-client's own class cannot be set, but a registry accepts any object with a `get` method. */
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
