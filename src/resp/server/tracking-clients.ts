import type { Access } from '../../access/access.ts';
import type { SharedLru } from '../../cache/shared-lru/shared-lru.ts';
import type { Clock } from '../../cache/shared-lru/clock.ts';
import type { Settings } from '../../config/settings.ts';
import type { ClientTrackingCounts } from '../../instance/counts/client-tracking-counts.ts';
import type { CoherenceState } from '../../instance/coherence-state.ts';
import { type Invalidation, unpackKeys } from '../../instance/packed-keys.ts';
import type { Client } from './client.ts';
import { ClientTracking, type TrackingOptions, hashOf } from './client-tracking.ts';

/** Dependencies of {@link TrackingClients}. */
export interface TrackingParts {
  readonly lru: Pick<SharedLru, 'trustedUntil'>;
  readonly clock: Clock;
  readonly coherence: Pick<CoherenceState, 'current'>;
  readonly access: Access;
  readonly counts: ClientTrackingCounts;
  readonly settings: Pick<Settings['cache'], 'coherence'>;
  /** Writes a warning to the log. */
  readonly warn: (message: string) => void;
}

/**
 * The clients of a thread that track keys (CLIENT TRACKING). The main thread sends the invalidations that it has applied to the
 * cache; each client receives those of the keys that it tracks and may read. If the proxy's own invalidations are late, every
 * client is notified that any key may have been written.
 */
export class TrackingClients {
  readonly counts: ClientTrackingCounts;
  readonly #parts: TrackingParts;
  readonly #clients = new Set<Client>();
  /** Fires when the invalidations are late. */
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: TrackingParts) {
    this.#parts = parts;
    this.counts = parts.counts;
  }

  /** Whether the proxy receives the invalidations of what is read from Redis now. */
  get isCurrent(): boolean {
    const { coherence, lru, clock } = this.#parts;
    return coherence.current === 'tracking' && clock() <= lru.trustedUntil;
  }

  /** Returns an error if no client can start to track keys now. */
  get refusal(): string | undefined {
    const { coherence, settings } = this.#parts;
    if (settings.coherence !== 'tracking') {
      return 'ERR CLIENT TRACKING is not available: the proxy is not notified of writes itself; set CACHE_COHERENCE=tracking';
    }
    switch (coherence.current) {
      case 'tracking':
        return undefined;
      case 'resync':
        return 'ERR CLIENT TRACKING is not available now: the proxy has lost the invalidation stream of Redis; try again';
      case 'ttl':
        return 'ERR CLIENT TRACKING is not available: Redis rejects it for the account of the proxy, whose log has the reason';
    }
  }

  /** Starts to track keys for a client, or changes its options. */
  start(client: Client, options: TrackingOptions): ClientTracking {
    if (client.tracking === undefined) {
      client.tracking = new ClientTracking(options, () => this.isCurrent);
      this.#clients.add(client);
      this.counts.addClients(1);
      this.#timer ??= setTimeout(() => this.#watch(), LATE_CHECK_MS).unref();
    }
    client.tracking.options = options;
    return client.tracking;
  }

  /** Stops tracking keys for a client, if it does. */
  stop(client: Client): void {
    client.tracking = undefined;
    if (!this.#clients.delete(client)) return;
    this.counts.addClients(-1);
    if (this.#clients.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Notifies the clients of invalidations that the main thread has applied to the cache. */
  invalidate(invalidation: Invalidation): void {
    const { access } = this.#parts;
    if (invalidation === undefined) this.#invalidateAll();
    else if (this.#clients.size > 0) {
      // Clients must not learn the names of keys that they may not read.
      const keys = unpackKeys(invalidation).filter((key) => access.allowsKey(key));
      const hashes = keys.map((key) => hashOf(key));
      for (const client of this.#clients) {
        // Most clients track none of the keys: these cost no allocation.
        let tracked: Buffer[] | undefined;
        for (let i = 0; i < keys.length; i++) {
          if (client.tracking?.tracks(keys[i], hashes[i])) (tracked ??= []).push(keys[i]);
        }
        if (tracked !== undefined) client.invalidate(tracked);
      }
    }
    this.counts.noteProcessed(invalidation?.length ?? 1);
  }

  /** Logs and counts a client that is disconnected because it does not read its messages. */
  noteUnread({ address }: Client): void {
    this.counts.countDisconnection();
    this.#parts.warn(`client ${address} disconnected: it does not read its invalidation messages (CLIENT TRACKING)`);
  }

  #invalidateAll(): void {
    for (const client of this.#clients) {
      client.tracking?.forget();
      client.invalidate(undefined);
    }
  }

  /** Notifies the clients, once, when the main thread has not confirmed for too long that all writes were received. */
  #watch(wasLate = false): void {
    const { lru, clock } = this.#parts;
    const leftMs = lru.trustedUntil - clock();
    const isLate = leftMs < 0;
    if (isLate && !wasLate) this.#invalidateAll();
    const delayMs = isLate ? LATE_CHECK_MS : Math.min(leftMs + 1, MAX_CHECK_MS);
    this.#timer = setTimeout(() => this.#watch(isLate), delayMs).unref();
  }
}

/** Milliseconds between checks while the invalidations are late. */
const LATE_CHECK_MS = 50;
/** Most milliseconds between checks. */
const MAX_CHECK_MS = 250;
