import { afterAll, beforeAll, expect, it } from '@jest/globals';
import parse from 'parse-prometheus-text-format';
import { READ_OUTCOMES } from '../../src/instance/read-metrics.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { Page } from './markdown.ts';

const page = new Page('docs/operations.md');
const unquoted = (cell: string) => cell.replaceAll('`', '');
const listed = (cell: string) => unquoted(cell).split(', ').filter(Boolean);

/** Metrics that have labels, and no samples while this proxy runs: it has no requests of libuv, and no TLS. */
const WITHOUT_SAMPLES = ['nodejs_active_requests', 'redis_http_cache_proxy_tls_certificate_expiry_timestamp_seconds'];

describeOwn('the metrics in docs/operations.md', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let exported: { name: string; type: string; labels: string[] }[];

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1 });
    exported = parse((await proxy.get('/metrics')).text).map(({ name, type, metrics }) => ({
      name,
      type: type.toLowerCase(),
      labels: [...new Set(metrics.flatMap(({ labels }) => Object.keys(labels ?? {})))],
    }));
  });
  afterAll(async () => {
    await proxy.stop();
    await redis.stop();
  });

  it('are exactly the exported ones, with their types', () => {
    const named = page.rows('metric').map(([name, type]) => ({ name: unquoted(name), type }));
    const sorted = (metrics: readonly { name: string; type: string }[]) =>
      metrics.map(({ name, type }) => `${name} ${type}`).sort();
    expect(sorted(named)).toEqual(sorted(exported));
  });

  it('have the exported labels', () => {
    const named = new Map(page.rows('metric').map(([name, , labels]) => [unquoted(name), listed(labels)]));
    for (const { name, labels } of exported) {
      // A metric without samples exports no labels.
      if (labels.length > 0) expect([name, named.get(name)]).toEqual([name, labels]);
      else expect(WITHOUT_SAMPLES.includes(name) || named.get(name)?.length === 0).toBe(true);
    }
  });

  it('list all outcomes', () => {
    const outcomes = page.rows('outcome').flatMap(([names]) => listed(names));
    expect(outcomes.sort()).toEqual([...READ_OUTCOMES].sort());
  });
});
