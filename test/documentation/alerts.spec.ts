import { expect, it } from '@jest/globals';
import { alerts } from '../kubernetes/monitoring.ts';
import { Page } from './markdown.ts';

it('docs/operations.md explains every alert, with its severity, and no other', () => {
  const explained = new Page('docs/operations.md').rows('alert').map(([name, severity]) => [name, severity]);
  expect(explained).toEqual(
    alerts.map(({ alert, labels }) => [`\`${alert.replace('RedisHttpCacheProxy', '')}\``, labels.severity]),
  );
});
