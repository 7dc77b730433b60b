import { expect, it } from '@jest/globals';
import { alerts } from '../kubernetes/monitoring.ts';
import { parsePromQl } from '../kubernetes/promql.ts';
import { Page } from './markdown.ts';

const page = new Page('docs/operations.md');

it('docs/operations.md explains every alert, with its severity, and no other', () => {
  const explained = page.rows('alert').map(([name, severity]) => [name, severity]);
  expect(explained).toEqual(
    alerts.map(({ alert, labels }) => [`\`${alert.replace('RedisHttpCacheProxy', '')}\``, labels.severity]),
  );
});

it('docs/operations.md asks in PromQL, for metrics that it explains', () => {
  const explained = page.rows('metric').map(([name]) => name.replaceAll('`', ''));
  const asked = page.blocks('promql').flatMap((query) => parsePromQl(query).selectors.map(({ metric }) => metric));
  expect(asked).toHaveLength(5);
  expect(explained).toEqual(expect.arrayContaining(asked.map((metric) => metric.replace(/_bucket$/, ''))));
});
