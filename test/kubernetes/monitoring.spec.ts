import { describe, expect, it } from '@jest/globals';
import { render } from './kustomization.ts';
import { isObject } from './manifest.ts';
import { alerts, dashboard, dashboardQueries, overlay } from './monitoring.ts';
import { parsePromQl } from './promql.ts';

const ofTarget = (label: string) => new RegExp(`\\$labels\\.${label}\\b`);

describe('alerts', () => {
  it('have unique names', () => {
    const names = alerts.map(({ alert }) => alert);
    expect(names).toEqual([...new Set(names)]);
  });

  it.each(alerts)(
    '$alert has a valid expression, a severity, a summary and a description',
    ({ expr, labels, annotations }) => {
      expect(parsePromQl(expr).selectors).not.toEqual([]);
      expect(['warning', 'critical']).toContain(labels.severity);
      expect(annotations.summary).not.toBe('');
      expect(annotations.description.length).toBeGreaterThan(30);
    },
  );

  it.each(alerts)('$alert names a pod only if its expression keeps the label', ({ expr, annotations }) => {
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

describe('ServiceMonitor', () => {
  const labelsOf = (manifest: { spec: unknown }) =>
    (manifest.spec as { selector: { matchLabels: Readonly<Record<string, string>> } }).selector.matchLabels;
  const monitor = render(overlay('overlays/monitoring')).find(({ kind }) => kind === 'ServiceMonitor');

  it.each(['base', 'overlays/fleet'])('selects the pods of %s once', (folder) => {
    const wanted = Object.entries(labelsOf(monitor as unknown as { spec: unknown }));
    const found = render(overlay(folder)).filter(
      ({ kind, metadata: { labels } }) =>
        kind === 'Service' && isObject(labels) && wanted.every(([name, value]) => labels[name] === value),
    );
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['redis-http-cache-proxy-ops']);
    const ports = (spec: unknown) => (spec as { ports: { name: string }[] }).ports.map(({ name }) => name);
    const { endpoints } = monitor?.spec as unknown as { endpoints: { port: string }[] };
    expect(endpoints.map(({ port }) => port)).toEqual(ports(found[0].spec));
  });

  it('may connect to the port that it scrapes, and to no other', () => {
    const policy = render(overlay('overlays/monitoring')).find(({ kind }) => kind === 'NetworkPolicy');
    const { ingress } = policy?.spec as unknown as { ingress: { ports: { port: string }[] }[] };
    expect(ingress.flatMap(({ ports }) => ports.map(({ port }) => port))).toEqual(['ops']);
  });
});

describe('Grafana dashboard', () => {
  it.each(dashboardQueries)('has a valid query: $name', ({ expr }) => {
    expect(parsePromQl(expr).selectors).not.toEqual([]);
  });

  it('queries only the selected pods', () => {
    const chosen = ['namespace="$namespace"', 'job="$job"', 'pod=~"$pod"'];
    for (const { matchers } of dashboardQueries.flatMap(({ expr }) => parsePromQl(expr).selectors)) {
      expect(matchers.map(({ label, operator, value }) => `${label}${operator}"${value}"`)).toEqual(
        expect.arrayContaining(chosen),
      );
    }
  });

  it('has panels with unique ids that do not overlap, within 24 columns', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});
