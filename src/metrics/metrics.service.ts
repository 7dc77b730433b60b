import { Injectable } from '@nestjs/common';
import { BufferedBytes } from '../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../cache/cache.service.ts';
import { CIRCUIT_STATES, SELF_CHECK_PARTS } from '../instance/instance-memory.ts';
import { CoherenceCounts } from '../instance/coherence-counts.ts';
import { COHERENCE_STATES, CoherenceState } from '../instance/coherence-state.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import {
  DURATION_BUCKETS,
  type Histogram,
  LISTENERS,
  READ_OUTCOMES,
  ReadMetrics,
  TRANSPORTS,
} from '../instance/read-metrics.ts';
import { RefusedCommands } from '../redis-commands/refused-commands.ts';
import { INTERNAL_PARTS } from '../internals/internal-part.ts';
import { packageVersion } from '../config/package-version.ts';
import { MetricSet, type Observations } from './metric-set.ts';

/** What Prometheus is told: of the whole instance, whichever thread it asks. No label ever holds a key. */
@Injectable()
export class MetricsService {
  readonly #metrics = new MetricSet();

  constructor(
    cache: CacheService,
    requests: ReadMetrics,
    coherence: CoherenceState,
    news: CoherenceCounts,
    instance: InstanceStats,
    buffered: BufferedBytes,
    refused: RefusedCommands,
  ) {
    this.#describeRequests(requests);
    this.#describeRefusedCommands(refused);
    this.#describeCache(cache);
    this.#describeCoherence(coherence, news);
    this.#describeInstance(instance, buffered);
  }

  get contentType(): string {
    return this.#metrics.registry.contentType;
  }

  render(): Promise<string> {
    return this.#metrics.registry.metrics();
  }

  #describeRequests(requests: ReadMetrics): void {
    this.#metrics.counter('requests', 'Reads of a key, by how they ended.', ['transport', 'outcome'], () =>
      TRANSPORTS.flatMap((transport) =>
        READ_OUTCOMES.map((outcome) => [{ transport, outcome }, requests.reads(transport, outcome)] as const),
      ),
    );
    this.#metrics.counter(
      'response_failures',
      'Responses that an error in the proxy kept from being rendered or written.',
      ['listener'],
      () => LISTENERS.map((listener) => [{ listener }, requests.failures(listener)]),
    );
    this.#metrics.histogram(
      'load_duration_seconds',
      'Time until Redis answered a read or it timed out; reads that fail at once excluded, TTL and TYPE queries included.',
      () => observations(requests.loadDurations()),
    );
    this.#metrics.histogram('load_queue_duration_seconds', 'Time a read of Redis waited for its turn.', () =>
      observations(requests.queueDurations()),
    );
  }

  #describeRefusedCommands(refused: RefusedCommands): void {
    this.#metrics.counter(
      'commands_refused',
      'Commands refused because they are not served, by name; names of no known command are counted as other.',
      ['transport', 'command'],
      () => refused.all().map(({ transport, command, times }) => [{ transport, command }, times]),
    );
  }

  #describeCache(cache: CacheService): void {
    const counter = (name: string, help: string, read: (stats: ReturnType<CacheService['stats']>) => number): void =>
      this.#metrics.counter(name, help, [], () => [[{}, read(cache.stats())]]);
    const gauge = (name: string, help: string, read: (stats: ReturnType<CacheService['stats']>) => number): void =>
      this.#metrics.gauge(name, help, [], () => [[{}, read(cache.stats())]]);
    counter('cache_hits', 'Reads answered from the cache.', ({ hits }) => hits);
    counter('cache_misses', 'Reads that were the first to ask for a key that is not held.', ({ misses }) => misses);
    counter('cache_collapsed', 'Reads that waited for the load of another.', ({ collapsed }) => collapsed);
    counter(
      'cache_stale',
      'Reads answered with a value past its time, as Redis could not be asked.',
      ({ stale }) => stale,
    );
    counter('loads', 'Reads of Redis, TTL and TYPE queries included.', ({ loads }) => loads);
    counter('load_errors', 'Reads of Redis that it could not answer.', ({ loadErrors }) => loadErrors);
    counter('cache_uncacheable', 'Values that were too large to be stored.', ({ uncacheable }) => uncacheable);
    counter('cache_recoveries', 'Times the cache was emptied because a thread died.', ({ recoveries }) => recoveries);
    this.#metrics.counter('cache_evictions', 'Entries that were dropped, by cause.', ['cause'], () => {
      const stats = cache.stats();
      return [
        [{ cause: 'capacity' }, stats.evictionsByCapacity],
        [{ cause: 'bytes' }, stats.evictionsByBytes],
        [{ cause: 'expired' }, stats.expirations],
        [{ cause: 'purged' }, stats.invalidations],
      ];
    });
    gauge('cache_entries', 'Keys held.', ({ entries }) => entries);
    gauge('cache_capacity_entries', 'Keys that may be held.', ({ limits }) => limits.capacity);
    gauge('cache_bytes', 'Bytes held, keys and values.', ({ bytes }) => bytes);
    gauge('cache_capacity_bytes', 'Bytes that may be held.', ({ limits }) => limits.maxBytes);
  }

  #describeCoherence(state: CoherenceState, counts: CoherenceCounts): void {
    const counter = (name: string, help: string, read: () => number): void =>
      this.#metrics.counter(name, help, [], () => [[{}, read()]]);
    this.#metrics.gauge('coherence', 'What ends an entry: 1 for the state that it is.', ['state'], () =>
      COHERENCE_STATES.map((each) => [{ state: each }, each === state.current ? 1 : 0]),
    );
    counter('coherence_invalidations', 'Keys that Redis has told of.', () => counts.invalidations);
    counter('coherence_flushes', 'Times that Redis has told that it was emptied.', () => counts.flushes);
    counter('coherence_losses', 'Times that the news of writes was lost.', () => counts.losses);
    this.#metrics.gauge(
      'coherence_last_loss_timestamp_seconds',
      'When the news of writes was last lost; 0: never.',
      [],
      () => [[{}, counts.lastLoss]],
    );
  }

  #describeInstance(instance: InstanceStats, buffered: BufferedBytes): void {
    const gauge = (name: string, help: string, read: () => number): void =>
      this.#metrics.gauge(name, help, [], () => [[{}, read()]]);
    gauge('loads_in_flight', 'Reads of Redis in flight.', () => instance.loads);
    gauge('loads_queued', 'Reads of Redis that wait for their turn.', () => instance.queuedLoads);
    gauge(
      'buffered_bytes',
      'Bytes of values and responses in memory that no client has taken yet.',
      () => buffered.total,
    );
    gauge('buffered_bytes_limit', 'Bytes of values and responses that may be in memory.', () => buffered.limit);
    gauge(
      'loads_waiting_for_memory',
      'Reads that wait until buffered bytes are below the limit.',
      () => buffered.waiting,
    );
    gauge('connections', 'Open client connections.', () => instance.connections);
    gauge('redis_connections', 'Threads that have their connection to Redis.', () => instance.redisConnections);
    this.#metrics.gauge('circuit', 'Threads by the state of their circuit to Redis.', ['state'], () =>
      CIRCUIT_STATES.map((state) => [{ state }, instance.circuits(state)]),
    );
    this.#metrics.gauge(
      'self_check_failures',
      'Threads whose last read through themselves got no response.',
      ['part'],
      () => SELF_CHECK_PARTS.map((part) => [{ part }, instance.failingSelfChecks(part)]),
    );
    gauge('threads', 'Threads that answer.', () => instance.threads);
    this.#metrics.counter('thread_restarts', 'Threads started in place of one that died.', [], () => [
      [{}, instance.restarts],
    ]);
    this.#metrics.gauge(
      'node_internals',
      'Private parts of Node.js and ioredis: 1 if all threads use it, 0 if public API is used instead.',
      ['part'],
      () => INTERNAL_PARTS.map((part) => [{ part }, instance.usesInternals(part) ? 1 : 0]),
    );
    this.#metrics.gauge('build_info', 'Always 1; the labels say what runs.', ['version', 'node'], () => [
      [{ version: packageVersion(), node: process.versions.node }, 1],
    ]);
  }
}

function observations({ buckets, sum }: Histogram): Observations {
  return { bounds: DURATION_BUCKETS, counts: buckets, sum };
}
