import { afterAll, beforeAll, expect, it } from '@jest/globals';
import parse from 'parse-prometheus-text-format';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { alerts, dashboard, dashboardQueries } from './monitoring.ts';
import { type Selector, parsePromQl } from './promql.ts';

/** Labels that Prometheus adds to scraped metrics. */
const TARGET_LABELS = new Set(['namespace', 'job', 'pod', 'instance']);

describeOwn('metrics in alerts and the Grafana dashboard', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  /** Label values by metric and label. */
  const metrics = new Map<string, Map<string, Set<string>>>([['up', new Map()]]);

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1 });
    for (const { name, type, metrics: samples } of parse((await proxy.get('/metrics')).text)) {
      const labels = new Map<string, Set<string>>();
      for (const [label, value] of samples.flatMap((sample) => Object.entries(sample.labels ?? {}))) {
        labels.set(label, (labels.get(label) ?? new Set()).add(value));
      }
      if (type === 'HISTOGRAM') metrics.set(`${name}_bucket`, labels.set('le', new Set()));
      else metrics.set(name, labels);
    }
  });
  afterAll(async () => {
    await proxy.stop();
    await redis.stop();
  });

  /** Returns the selected metrics, labels and label values that /metrics does not have. */
  function unknownIn({ metric, matchers }: Selector): string[] {
    const labels = metrics.get(metric);
    if (labels === undefined) return [metric];
    return matchers
      .filter(({ label }) => !TARGET_LABELS.has(label))
      .flatMap(({ label, operator, value }) =>
        (operator.includes('~') ? value.split('|') : [value])
          .filter((each) => !labels.get(label)?.has(each))
          .map((each) => `${metric}{${label}="${each}"}`),
      );
  }

  const queries = [...alerts.map(({ alert, expr }) => ({ name: alert, expr })), ...dashboardQueries];

  it.each(queries)('exist: $name', ({ expr }) => {
    const { selectors, grouping } = parsePromQl(expr);
    expect(selectors.flatMap(unknownIn)).toEqual([]);
    const labels = selectors.flatMap(({ metric }) => [...(metrics.get(metric)?.keys() ?? [])]);
    expect([...TARGET_LABELS, ...labels]).toEqual(expect.arrayContaining([...grouping]));
  });

  it('exist for the variables of the dashboard', () => {
    const queried = dashboard.templating.list.flatMap(({ definition }) => definition ?? []);
    expect(queried).toHaveLength(3);
    for (const definition of queried) {
      const selector = /^label_values\((.+), \w+\)$/.exec(definition)?.[1] ?? '';
      expect(parsePromQl(selector).selectors.flatMap(unknownIn)).toEqual([]);
    }
  });
});
