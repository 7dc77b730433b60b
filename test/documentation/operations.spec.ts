import { globSync, readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { alerts } from '../kubernetes/monitoring.ts';
import { parsePromQl } from '../kubernetes/promql.ts';
import { Page } from './markdown.ts';

const page = new Page('docs/operations.md');

it('docs/operations.md lists exactly the alerts of the PrometheusRule, with their severities', () => {
  const documented = page.rows('alert').map(([name, severity]) => [name, severity]);
  expect(documented).toEqual(
    alerts.map(({ alert, labels }) => [`\`${alert.replace('RedisHttpCacheProxy', '')}\``, labels.severity]),
  );
});

it('docs/operations.md uses only listed metrics in its PromQL examples', () => {
  const documented = page.rows('metric').map(([name]) => name.replaceAll('`', ''));
  const queried = page.blocks('promql').flatMap((query) => parsePromQl(query).selectors.map(({ metric }) => metric));
  expect(queried).toHaveLength(5);
  expect(documented).toEqual(expect.arrayContaining(queried.map((metric) => metric.replace(/_bucket$/, ''))));
});

it('docs/operations.md quotes log messages that the code has', () => {
  const root = new URL('../../', import.meta.url);
  const files = globSync('src/**/*.ts', { cwd: root.pathname }).filter((path) => !path.endsWith('.spec.ts'));
  const code = files.map((path) => readFileSync(new URL(path, root), 'utf8')).join('\n');
  const quoted = page.rows('message').flatMap(([cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text));
  // The parts of messages between names, numbers and reasons.
  const fixed = quoted
    .flatMap((text) => text.split(/…|\d+|SIGTERM|ACCESS_TOKEN_FILE|Redis is (?:still )?/))
    .map((part) => part.replace(/^\W+|\W+$/g, ''));
  expect(fixed.length).toBeGreaterThan(20);
  expect(fixed.filter((part) => part.length > 3 && !code.includes(part))).toEqual([]);
});
