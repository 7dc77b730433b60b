import type { Json } from './manifest.ts';
import { render } from './kustomization.ts';

const kubernetes = new URL('../../deploy/kubernetes/', import.meta.url).pathname;

/** Returns the path of a folder of deploy/kubernetes. */
export function overlay(name: string): string {
  return `${kubernetes}${name}`;
}

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

export interface AlertGroup {
  readonly name: string;
  readonly rules: readonly Alert[];
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const monitoring = render(overlay('overlays/monitoring'));

function field(kind: string, name: string): Json {
  const manifest = monitoring.find((each) => each.kind === kind);
  if (manifest === undefined) throw new Error(`the overlay has no ${kind}`);
  return manifest[name];
}

/** The alert groups of the overlay `monitoring`. */
const { groups } = field('PrometheusRule', 'spec') as unknown as { groups: readonly AlertGroup[] };

export const alertGroups = groups;
export const alerts = groups.flatMap(({ rules }) => rules);

/** The dashboard of the overlay `monitoring`. */
export const dashboard = JSON.parse(
  (field('ConfigMap', 'data') as Record<string, string>)['redis-http-cache-proxy.json'],
) as Dashboard;

/** The queries of the panels, with `$__rate_interval` replaced as by Grafana. */
export const dashboardQueries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ refId, expr }) => ({
    name: `${title}, ${refId}`,
    expr: expr.replaceAll('$__rate_interval', '1m'),
  })),
);
