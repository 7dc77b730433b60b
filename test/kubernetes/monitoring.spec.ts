import { describe, expect, it } from '@jest/globals';
import { render } from './kustomization.ts';
import { isObject } from './manifest.ts';
import { alerts, dashboard, dashboardQueries, overlay } from './monitoring.ts';
import { parsePromQl } from './promql.ts';

const ofTarget = (label: string) => new RegExp(`\\$labels\\.${label}\\b`);

describe('the alerts', () => {
  it('have names of their own', () => {
    const names = alerts.map(({ alert }) => alert);
    expect(names).toEqual([...new Set(names)]);
  });

  it.each(alerts)('$alert is PromQL, and says what is wrong and what to do', ({ expr, labels, annotations }) => {
    expect(parsePromQl(expr).selectors).not.toEqual([]);
    expect(['warning', 'critical']).toContain(labels.severity);
    expect(annotations.summary).not.toBe('');
    expect(annotations.description.length).toBeGreaterThan(30);
  });

  it.each(alerts)('$alert names a pod only where it is about one', ({ expr, annotations }) => {
    const perPod = !/\bby \((?!.*\bpod\b)/.test(expr) && !expr.startsWith('absent');
    const { summary, description } = annotations;
    expect(ofTarget('pod').test(summary + description)).toBe(perPod);
  });

  it('warn at 80 % of PROXY_MAX_CONNECTIONS', () => {
    const settings = render(overlay('base')).find(({ kind }) => kind === 'ConfigMap')?.data;
    const limit = isObject(settings) ? Number(settings.PROXY_MAX_CONNECTIONS) : 0;
    const warning = alerts.find(({ alert }) => alert === 'RedisHttpCacheProxyNearMaxConnections');
    expect(warning?.expr).toBe(`redis_http_cache_proxy_connections > ${limit * 0.8}`);
  });
});

describe('the ServiceMonitor', () => {
  const labelsOf = (manifest: { spec: unknown }) =>
    (manifest.spec as { selector: { matchLabels: Readonly<Record<string, string>> } }).selector.matchLabels;
  const monitor = render(overlay('overlays/monitoring')).find(({ kind }) => kind === 'ServiceMonitor');

  it.each(['base', 'overlays/fleet'])('finds the pods of %s once', (folder) => {
    const wanted = Object.entries(labelsOf(monitor as unknown as { spec: unknown }));
    const found = render(overlay(folder)).filter(
      ({ kind, metadata: { labels } }) =>
        kind === 'Service' && isObject(labels) && wanted.every(([name, value]) => labels[name] === value),
    );
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['redis-http-cache-proxy']);
  });
});

describe('the dashboard', () => {
  it.each(dashboardQueries)('asks in PromQL: $name', ({ expr }) => {
    expect(parsePromQl(expr).selectors).not.toEqual([]);
  });

  it('asks for the chosen pods alone', () => {
    const chosen = ['namespace="$namespace"', 'job="$job"', 'pod=~"$pod"'];
    for (const { matchers } of dashboardQueries.flatMap(({ expr }) => parsePromQl(expr).selectors)) {
      expect(matchers.map(({ label, operator, value }) => `${label}${operator}"${value}"`)).toEqual(
        expect.arrayContaining(chosen),
      );
    }
  });

  it('has panels with ids of their own, each in a place of its own, within 24 columns', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});
