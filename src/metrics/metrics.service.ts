import { Inject, Injectable } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { BufferedBytes } from '../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../cache/cache.service.ts';
import { CIRCUIT_STATES, SELF_CHECK_PARTS, TLS_LISTENERS } from '../instance/instance-memory.ts';
import { ClientTrackingCounts } from '../instance/counts/client-tracking-counts.ts';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { COHERENCE_STATES, CoherenceState } from '../instance/coherence-state.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { LOAD_ROLES, type ReadSourceCounts, SOURCE_ROLES } from '../instance/counts/read-source-counts.ts';
import {
  DURATION_BUCKETS,
  type Histogram,
  LISTENERS,
  READ_OUTCOMES,
  REFRESH_RESULTS,
  ReadMetrics,
  TRANSPORTS,
} from '../instance/read-metrics.ts';
import { WARMUP_RESULTS, WARMUP_STATES, WarmupState } from '../instance/warmup-state.ts';
import { RefusedCommands } from '../redis-commands/refused-commands.ts';
import { cacheConfig } from '../config/namespaces.ts';
import { INTERNAL_PARTS } from '../internals/internal-part.ts';
import { HANDSHAKE_FAILURES, HandshakeCounts } from '../tls/handshake-counts.ts';
import { TlsListeners } from '../tls/tls-listeners.ts';
import { packageVersion } from '../config/package-version.ts';
import type { MetricSet, Observations } from './metric-set.ts';

/** Renders the Prometheus metrics of the whole instance, in any of its threads. No label contains a key. */
@Injectable()
export class MetricsService {
  readonly #describe: (metrics: MetricSet) => void;
  #metrics: Promise<MetricSet> | undefined;

  constructor(
    cache: CacheService,
    reads: ReadMetrics,
    coherence: CoherenceState,
    coherenceCounts: CoherenceCounts,
    instance: InstanceStats,
    buffered: BufferedBytes,
    refused: RefusedCommands,
    clientTracking: ClientTrackingCounts,
    warmup: WarmupState,
    tls: TlsListeners,
    handshakes: HandshakeCounts,
    @Inject(cacheConfig.KEY) { purgeChannel }: ConfigType<typeof cacheConfig>,
  ) {
    this.#describe = (metrics) => {
      this.#describeReads(metrics, reads);
      this.#describeRefusedCommands(metrics, refused);
      this.#describeCache(metrics, cache);
      this.#describeWarmup(metrics, warmup);
      this.#describeCoherence(metrics, coherence, coherenceCounts);
      this.#describePurges(metrics, coherenceCounts, purgeChannel !== undefined);
      this.#describeClientTracking(metrics, instance, clientTracking);
      this.#describeTls(metrics, tls, handshakes);
      this.#describeInstance(metrics, instance, buffered);
    };
  }

  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    this.#metrics ??= this.#create();
    const { registry } = await this.#metrics;
    return { contentType: registry.contentType, text: await registry.metrics() };
  }

  async #create(): Promise<MetricSet> {
    const metrics = await loadMetricSet();
    this.#describe(metrics);
    return metrics;
  }

  #describeReads(metrics: MetricSet, reads: ReadMetrics): void {
    metrics.counter('requests', 'Key reads by transport and outcome.', ['transport', 'outcome'], () =>
      TRANSPORTS.flatMap((transport) =>
        READ_OUTCOMES.map((outcome) => [{ transport, outcome }, reads.reads(transport, outcome)] as const),
      ),
    );
    metrics.counter(
      'response_failures',
      'Responses that could not be rendered or written because of an error in the proxy.',
      ['listener'],
      () => LISTENERS.map((listener) => [{ listener }, reads.failures(listener)]),
    );
    metrics.counter(
      'refreshes',
      'Entries due for a load in the background (expired, or about to expire) by result: the load was started, or dropped.',
      ['result'],
      () => REFRESH_RESULTS.map((result) => [{ result }, reads.refreshes(result)]),
    );
    metrics.histogram(
      'load_duration_seconds',
      'Duration of Redis reads (TTL and TYPE queries included) until the reply or the timeout; reads that fail fast are excluded.',
      () => observations(reads.loadDurations()),
    );
    metrics.histogram('load_queue_duration_seconds', 'Time Redis reads spent queued.', () =>
      observations(reads.queueDurations()),
    );
  }

  #describeRefusedCommands(metrics: MetricSet, refused: RefusedCommands): void {
    metrics.counter(
      'commands_refused',
      'Rejected unsupported commands by transport and command name; unknown names are counted as other.',
      ['transport', 'command'],
      () => refused.all().map(({ transport, command, times }) => [{ transport, command }, times]),
    );
  }

  #describeCache(metrics: MetricSet, cache: CacheService): void {
    const counter = (name: string, help: string, read: (stats: ReturnType<CacheService['stats']>) => number): void =>
      metrics.counter(name, help, [], () => [[{}, read(cache.stats())]]);
    const gauge = (name: string, help: string, read: (stats: ReturnType<CacheService['stats']>) => number): void =>
      metrics.gauge(name, help, [], () => [[{}, read(cache.stats())]]);
    counter('cache_hits', 'Reads served from the cache.', ({ hits }) => hits);
    counter('cache_misses', 'Reads that started a load because the key was not cached.', ({ misses }) => misses);
    counter('cache_collapsed', 'Reads coalesced into a load that was already in flight.', ({ collapsed }) => collapsed);
    counter('cache_stale', 'Reads served stale because Redis was unavailable.', ({ stale }) => stale);
    counter('loads', 'Redis reads (cache loads) started, TTL and TYPE queries included.', ({ loads }) => loads);
    counter('load_errors', 'Redis reads that failed.', ({ loadErrors }) => loadErrors);
    counter(
      'cache_uncacheable',
      'Values larger than CACHE_MAX_VALUE_BYTES, which are not cached.',
      ({ uncacheable }) => uncacheable,
    );
    counter(
      'cache_recoveries',
      'Times the cache was flushed because a worker thread died holding its lock.',
      ({ recoveries }) => recoveries,
    );
    metrics.counter('cache_evictions', 'Entries removed from the cache, by cause.', ['cause'], () => {
      const stats = cache.stats();
      return [
        [{ cause: 'capacity' }, stats.evictionsByCapacity],
        [{ cause: 'bytes' }, stats.evictionsByBytes],
        [{ cause: 'expired' }, stats.expirations],
        [{ cause: 'purged' }, stats.invalidations],
      ];
    });
    gauge('cache_entries', 'Entries currently cached.', ({ entries }) => entries);
    gauge('cache_capacity_entries', 'Maximum number of entries (CACHE_CAPACITY).', ({ limits }) => limits.capacity);
    gauge('cache_bytes', 'Bytes of the cached keys and values.', ({ bytes }) => bytes);
    gauge(
      'cache_capacity_bytes',
      'Maximum bytes of keys and values (CACHE_MAX_BYTES).',
      ({ limits }) => limits.maxBytes,
    );
  }

  #describeWarmup(metrics: MetricSet, warmup: WarmupState): void {
    metrics.gauge('warmup', 'State of the warm-up from CACHE_WARMUP_FILE (1 for the active state).', ['state'], () =>
      WARMUP_STATES.map((state) => [{ state }, state === warmup.current ? 1 : 0]),
    );
    metrics.counter(
      'warmup_entries',
      'Entries in CACHE_WARMUP_FILE by result; those loaded, missing and failed are also counted as loads.',
      ['result'],
      () => WARMUP_RESULTS.map((result) => [{ result }, warmup.entries(result)]),
    );
    metrics.gauge('warmup_remaining_entries', 'Entries in CACHE_WARMUP_FILE that are still to be loaded.', [], () => [
      [{}, warmup.remaining],
    ]);
  }

  #describeCoherence(metrics: MetricSet, state: CoherenceState, counts: CoherenceCounts): void {
    const counter = (name: string, help: string, read: () => number): void =>
      metrics.counter(name, help, [], () => [[{}, read()]]);
    metrics.gauge('coherence', 'Coherence state (1 for the active state).', ['state'], () =>
      COHERENCE_STATES.map((each) => [{ state: each }, each === state.current ? 1 : 0]),
    );
    counter('coherence_invalidations', 'Invalidations received.', () => counts.invalidations);
    counter('coherence_flushes', 'FLUSHDB/FLUSHALL invalidations received.', () => counts.flushes);
    counter('coherence_losses', 'Times the invalidation stream was lost.', () => counts.losses);
    metrics.gauge(
      'coherence_last_loss_timestamp_seconds',
      'Unix time of the last loss of the invalidation stream; 0 if it was never lost.',
      [],
      () => [[{}, counts.lastLoss]],
    );
  }

  #describePurges(metrics: MetricSet, counts: CoherenceCounts, hasChannel: boolean): void {
    metrics.counter('purge_messages', 'Messages received on CACHE_PURGE_CHANNEL, by result.', ['result'], () => [
      [{ result: 'applied' }, counts.purges],
      [{ result: 'ignored' }, counts.ignoredPurges],
    ]);
    metrics.counter('purge_channel_losses', 'Times the subscription to CACHE_PURGE_CHANNEL was lost.', [], () => [
      [{}, counts.subscriptionLosses],
    ]);
    metrics.gauge(
      'purge_channel_subscribed',
      'Subscription to CACHE_PURGE_CHANNEL (1 while subscribed; absent if the setting is unset).',
      [],
      () => (hasChannel ? [[{}, counts.isSubscribed ? 1 : 0]] : []),
    );
  }

  #describeClientTracking(metrics: MetricSet, instance: InstanceStats, counts: ClientTrackingCounts): void {
    metrics.gauge('tracking_clients', 'Clients of the Redis protocol that track keys (CLIENT TRACKING).', [], () => [
      [{}, instance.trackingClients],
    ]);
    metrics.counter('tracking_pushes', 'Invalidation messages sent to clients that track keys.', [], () => [
      [{}, counts.pushes],
    ]);
    metrics.counter(
      'tracking_disconnections',
      'Clients disconnected because they did not read their invalidation messages.',
      [],
      () => [[{}, counts.disconnections]],
    );
  }

  #describeTls(metrics: MetricSet, tls: TlsListeners, handshakes: HandshakeCounts): void {
    metrics.gauge(
      'tls_certificate_expiry_timestamp_seconds',
      'Unix time at which the certificate in use expires, for each listener that uses TLS.',
      ['listener'],
      () => tls.expiries().map(([listener, expiry]) => [{ listener }, expiry]),
    );
    metrics.counter(
      'tls_handshake_failures',
      'Failed TLS handshakes by listener and reason.',
      ['listener', 'reason'],
      () =>
        TLS_LISTENERS.flatMap((listener) =>
          HANDSHAKE_FAILURES.map((reason) => [{ listener, reason }, handshakes.failures(listener, reason)] as const),
        ),
    );
  }

  #describeReadSources(metrics: MetricSet, sources: ReadSourceCounts): void {
    metrics.gauge(
      'redis_read_sources',
      'Masters by the server that their keys are loaded from (REDIS_READ_FROM); 0 for all with REDIS_READ_FROM=master.',
      ['role'],
      () => SOURCE_ROLES.map((role) => [{ role }, sources.mastersReadFrom(role)]),
    );
    metrics.counter(
      'redis_read_source_changes',
      'Selections of servers to load keys from (REDIS_READ_FROM).',
      [],
      () => [[{}, sources.changes]],
    );
    metrics.counter(
      'redis_read_source_loads',
      'Redis reads served, by role of the server (REDIS_READ_FROM); a key missing at a replica of a cluster may count for both roles.',
      ['role'],
      () => LOAD_ROLES.map((role) => [{ role }, sources.loads(role)]),
    );
    metrics.gauge(
      'redis_replication_lag_seconds',
      'Maximum lag of the replicas that keys are loaded from, as far as is known.',
      [],
      () => [[{}, sources.lagSeconds]],
    );
  }

  #describeInstance(metrics: MetricSet, instance: InstanceStats, buffered: BufferedBytes): void {
    const gauge = (name: string, help: string, read: () => number): void =>
      metrics.gauge(name, help, [], () => [[{}, read()]]);
    gauge('loads_in_flight', 'Redis reads in flight.', () => instance.loads);
    gauge('loads_queued', 'Redis reads queued.', () => instance.queuedLoads);
    gauge(
      'buffered_bytes',
      'Bytes of values and responses buffered in memory because no client has read them yet.',
      () => buffered.total,
    );
    gauge(
      'buffered_bytes_limit',
      'Maximum bytes of buffered values and responses (PROXY_MAX_BUFFERED_BYTES).',
      () => buffered.limit,
    );
    gauge(
      'loads_waiting_for_memory',
      'Reads delayed until the buffered bytes are below the limit.',
      () => buffered.waiting,
    );
    gauge('connections', 'Open client connections.', () => instance.connections);
    gauge('ops_connections', 'Open connections of OPS_PORT.', () => instance.opsConnections);
    gauge('redis_connections', 'Worker threads connected to Redis.', () => instance.redisConnections);
    this.#describeReadSources(metrics, instance.readSources);
    metrics.counter(
      'redis_login_failures',
      'Times Redis or a sentinel rejected the credentials (NOAUTH, WRONGPASS).',
      [],
      () => [[{}, instance.loginFailures]],
    );
    metrics.gauge('circuit', 'Worker threads by circuit breaker state.', ['state'], () =>
      CIRCUIT_STATES.map((state) => [{ state }, instance.circuits(state)]),
    );
    metrics.gauge('self_check_failures', 'Worker threads whose last self-check got no response.', ['part'], () =>
      SELF_CHECK_PARTS.map((part) => [{ part }, instance.failingSelfChecks(part)]),
    );
    gauge('threads', 'Configured worker threads.', () => instance.threads);
    metrics.counter('thread_restarts', 'Worker threads restarted after a crash.', [], () => [[{}, instance.restarts]]);
    metrics.gauge(
      'node_internals',
      'Private parts of Node.js and ioredis (1 if all worker threads use the part, 0 if public API is used instead).',
      ['part'],
      () => INTERNAL_PARTS.map((part) => [{ part }, instance.usesInternals(part) ? 1 : 0]),
    );
    metrics.gauge('build_info', 'Version of the proxy and of Node.js (always 1).', ['version', 'node'], () => [
      [{ version: packageVersion(), node: process.versions.node }, 1],
    ]);
  }
}

function observations({ buckets, sum }: Histogram): Observations {
  return { bounds: DURATION_BUCKETS, counts: buckets, sum };
}

/** Loads prom-client with the first scrape: many threads are never scraped. */
async function loadMetricSet(): Promise<MetricSet> {
  // Not in the class: TypeScript does not rewrite the file extension in decorated classes.
  const { MetricSet: Metrics } = await import('./metric-set.ts');
  return new Metrics();
}
