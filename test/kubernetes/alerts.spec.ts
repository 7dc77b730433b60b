import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import { alertGroups, alerts } from './monitoring.ts';

/** Values by series, a minute apart, in promtool's notation: `0+60x10` starts at 0 and grows ten times by 60. */
type SeriesValues = Readonly<Record<string, string>>;

const MINUTES = 120;
const constant = (value: number) => `${value}+0x${MINUTES}`;
const growing = (perMinute: number) => `0+${perMinute}x${MINUTES}`;

/** A busy proxy with a hit ratio of 0.9 and a full cache. */
const HEALTHY: SeriesValues = {
  up: constant(1),
  'requests_total{transport="http",outcome="hit"}': growing(54_000),
  'requests_total{transport="http",outcome="miss"}': growing(6000),
  'requests_total{transport="http",outcome="overloaded"}': constant(0),
  'requests_total{transport="http",outcome="timeout"}': constant(3),
  'response_failures_total{listener="http"}': constant(0),
  cache_hits_total: growing(54_000),
  cache_misses_total: growing(6000),
  cache_collapsed_total: growing(10),
  cache_stale_total: constant(7),
  loads_total: growing(6000),
  load_errors_total: growing(1),
  'load_duration_seconds_bucket{le="0.001"}': growing(5990),
  'load_duration_seconds_bucket{le="2.5"}': growing(6000),
  'load_duration_seconds_bucket{le="+Inf"}': growing(6000),
  loads_queued: '0 5 '.repeat(MINUTES / 2),
  cache_entries: constant(100_000),
  cache_capacity_entries: constant(100_000),
  cache_bytes: constant(10_000_000),
  cache_capacity_bytes: constant(268_435_456),
  'cache_evictions_total{cause="capacity"}': growing(600),
  'cache_evictions_total{cause="bytes"}': constant(0),
  'cache_evictions_total{cause="expired"}': growing(5400),
  cache_recoveries_total: constant(0),
  'coherence{state="tracking"}': constant(1),
  'coherence{state="ttl"}': constant(0),
  'coherence{state="resync"}': constant(0),
  coherence_losses_total: constant(1),
  purge_channel_subscribed: constant(1),
  connections: constant(300),
  redis_connections: constant(2),
  threads: constant(2),
  'circuit{state="closed"}': constant(2),
  'circuit{state="half-open"}': constant(0),
  'circuit{state="open"}': constant(0),
  'self_check_failures{part="fast-path"}': constant(0),
  'tls_certificate_expiry_timestamp_seconds{listener="http"}': constant(5_184_000),
  'redis_read_sources{role="replica"}': constant(1),
  'redis_read_sources{role="master"}': constant(0),
  'redis_read_sources{role="none"}': constant(0),
  redis_replication_lag_seconds: '0 4 '.repeat(MINUTES / 2),
  thread_restarts_total: constant(0),
  process_cpu_user_seconds_total: growing(30),
};

/** For each alert, the series that differ from {@link HEALTHY} when it fires; undefined for an absent series. */
const FAULTS: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  Down: { up: constant(0) },
  Absent: { up: undefined },
  ReadsFailing: { 'requests_total{transport="http",outcome="timeout"}': growing(1000) },
  ResponsesFailing: { 'response_failures_total{listener="http"}': growing(1) },
  SelfCheckFailing: { 'self_check_failures{part="fast-path"}': constant(1) },
  ServingStale: { cache_stale_total: growing(1) },
  RedisUnreachable: { redis_connections: constant(1) },
  CircuitOpen: { 'circuit{state="open"}': '0 1 '.repeat(60), 'circuit{state="half-open"}': '1 0 '.repeat(60) },
  LoadErrors: { load_errors_total: growing(100) },
  SlowLoads: { 'load_duration_seconds_bucket{le="0.001"}': growing(5900) },
  QueueFull: { 'requests_total{transport="http",outcome="overloaded"}': growing(1) },
  LoadsQueued: { loads_queued: '1 5 '.repeat(MINUTES / 2) },
  NoReplica: { 'redis_read_sources{role="none"}': constant(1) },
  ReadsFromMaster: { 'redis_read_sources{role="master"}': constant(1) },
  ReplicationLag: { redis_replication_lag_seconds: constant(6) },
  CoherenceLost: { 'coherence{state="resync"}': constant(1), 'coherence{state="tracking"}': constant(0) },
  CoherenceUnstable: { coherence_losses_total: '0+1x120' },
  CoherenceMismatch: { 'coherence{state="ttl",pod="other"}': constant(1) },
  PurgeChannelLost: { purge_channel_subscribed: constant(0) },
  WorkerCrashed: { thread_restarts_total: `0x${MINUTES - 5} 1x5` },
  Restarting: { process_cpu_user_seconds_total: `100+1x${MINUTES - 20} 1+1x10 1+1x10` },
  NearMaxConnections: { connections: constant(3900) },
  CertificateExpiring: { 'tls_certificate_expiry_timestamp_seconds{listener="http"}': constant(518_400) },
  LowHitRatio: { cache_hits_total: growing(5000) },
  CacheTooSmall: { 'cache_evictions_total{cause="capacity"}': growing(4000) },
  CacheFlushed: { cache_recoveries_total: `0x${MINUTES - 5} 1x5` },
};

const series = (values: Readonly<Record<string, string | undefined>>) =>
  Object.entries(values).flatMap(([name, samples]) => {
    const [metric, labels = ''] = name.split(/[{}]/);
    const ofTarget = ['namespace="n"', 'job="redis-http-cache-proxy"', ...(labels.includes('pod=') ? [] : ['pod="p"'])];
    const fullName = metric === 'up' || metric.startsWith('process_') ? metric : `redis_http_cache_proxy_${metric}`;
    const all = [...ofTarget, ...(labels === '' ? [] : [labels])].join(',');
    return samples === undefined ? [] : [{ series: `${fullName}{${all}}`, values: samples.trim() }];
  });

/** Runs alert tests with promtool; undefined if it is not installed. */
function promtool(tests: readonly object[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
  try {
    writeFileSync(join(folder, 'rules.yaml'), stringify({ groups: alertGroups }));
    writeFileSync(
      join(folder, 'tests.yaml'),
      stringify({ rule_files: ['rules.yaml'], evaluation_interval: '1m', tests }),
    );
    const { error, status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', join(folder, 'tests.yaml')], {
      encoding: 'utf8',
    });
    if (error !== undefined) return undefined;
    return status === 0 ? 'as expected' : stdout + stderr;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A test that `count` alerts whose name matches are firing at the end. */
const firing = (values: Readonly<Record<string, string | undefined>>, name: string, count: number) => ({
  interval: '1m',
  input_series: series(values),
  promql_expr_test: [
    {
      expr: `count(ALERTS{alertstate="firing",alertname=~"${name}"}) or vector(0)`,
      eval_time: `${MINUTES - 1}m`,
      exp_samples: [{ labels: '{}', value: count }],
    },
  ],
});

describe('alerts, evaluated with promtool if it is installed', () => {
  it('do not fire for a healthy proxy with a full cache', () => {
    expect(promtool([firing(HEALTHY, '.*', 0)]) ?? 'as expected').toBe('as expected');
  });

  it.each(alerts)('$alert fires on its fault', ({ alert }) => {
    const fault = FAULTS[alert.replace('RedisHttpCacheProxy', '')];
    expect(fault).toBeDefined();
    expect(promtool([firing({ ...HEALTHY, ...fault }, alert, 1)]) ?? 'as expected').toBe('as expected');
  });
});
