import { Buffer } from 'node:buffer';
import { ClientTrackingCounts } from '../instance/counts/client-tracking-counts.ts';
import type { InstanceMemory } from '../instance/instance-memory.ts';
import { type Invalidation, packKeys, packedBytes } from '../instance/packed-keys.ts';
import type { InvalidationSink } from './tracking-coordinator.ts';

/** Longest key that clients of the proxy can read. */
const MAX_KEY_BYTES = 64 * 1024;
/** Bytes of keys that may wait for a worker thread, some thousand keys; beyond it everything is invalidated instead. */
export const MAX_WAITING_BYTES = 256 * 1024;
/** Milliseconds between checks whether a thread has processed the message that invalidates everything. */
const RETRY_MS = 5;

/** A worker thread that receives invalidations. */
interface Thread {
  readonly counts: ClientTrackingCounts;
  readonly send: (invalidation: Invalidation) => void;
  /** Bytes sent, as {@link ClientTrackingCounts.processed} counts them. */
  sent: number;
  /** Value of {@link sent} after the last message that invalidates everything. */
  everythingAt: number | undefined;
  /** Whether keys were written after that message was sent. */
  isIncomplete: boolean;
}

/**
 * Sends invalidations to the worker threads that have clients with CLIENT TRACKING: those of one tick in one message. A thread
 * that does not keep up is sent a single message that invalidates everything, and further ones only once it has processed that.
 */
export class InvalidationRelay implements InvalidationSink {
  readonly #memory: InstanceMemory;
  readonly #schedule: (retry: () => void) => void;
  /** By row. */
  readonly #threads = new Map<number, Thread>();
  #keys: Uint8Array[] = [];
  #bytes = 0;
  #isScheduled = false;
  #isRetryScheduled = false;

  /** @param schedule calls its argument a little later. */
  constructor(memory: InstanceMemory, schedule: (retry: () => void) => void = scheduleRetry) {
    this.#memory = memory;
    this.#schedule = schedule;
  }

  /** Adds a thread that has started. */
  add(row: number, send: (invalidation: Invalidation) => void): void {
    const counts = new ClientTrackingCounts(this.#memory, row);
    counts.recover();
    this.#threads.set(row, { counts, send, sent: 0, everythingAt: undefined, isIncomplete: false });
  }

  /** Removes a thread that has exited. */
  remove(row: number): void {
    this.#threads.get(row)?.counts.recover();
    this.#threads.delete(row);
  }

  invalidate(key: Buffer): void {
    if (key.length > MAX_KEY_BYTES || !this.#hasClients || this.#bytes > MAX_WAITING_BYTES) return;
    this.#keys.push(Buffer.from(key));
    this.#bytes += packedBytes(key);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Before the next heartbeat extends the time for which worker threads trust the cache.
    queueMicrotask(() => this.#send());
  }

  invalidateAll(): void {
    this.#keys = [];
    this.#bytes = 0;
    for (const thread of this.#threads.values()) if (thread.counts.clients > 0) this.#sendEverything(thread);
  }

  get #hasClients(): boolean {
    for (const { counts } of this.#threads.values()) if (counts.clients > 0) return true;
    return false;
  }

  #send(): void {
    this.#isScheduled = false;
    const bytes = this.#bytes;
    if (bytes === 0) return;
    const packed = packKeys(this.#keys);
    this.#keys = [];
    this.#bytes = 0;
    for (const thread of this.#threads.values()) {
      if (thread.counts.clients === 0) continue;
      // The difference wraps around as the counters do.
      const waiting = (thread.sent - thread.counts.processed) | 0;
      if (waiting + bytes > MAX_WAITING_BYTES) this.#sendEverything(thread);
      else {
        thread.sent = (thread.sent + bytes) | 0;
        thread.send(packed);
      }
    }
  }

  /** Sends the message that invalidates everything, or notes that it must be sent once the thread has processed the last one. */
  #sendEverything(thread: Thread): void {
    if (thread.everythingAt !== undefined && !hasProcessed(thread, thread.everythingAt)) {
      thread.isIncomplete = true;
      this.#retryLater();
      return;
    }
    thread.isIncomplete = false;
    thread.sent = (thread.sent + 1) | 0;
    thread.everythingAt = thread.sent;
    thread.send(undefined);
  }

  #retryLater(): void {
    if (this.#isRetryScheduled) return;
    this.#isRetryScheduled = true;
    this.#schedule(() => {
      this.#isRetryScheduled = false;
      for (const thread of this.#threads.values()) if (thread.isIncomplete) this.#sendEverything(thread);
    });
  }
}

function hasProcessed({ counts }: Thread, sent: number): boolean {
  return ((counts.processed - sent) | 0) >= 0;
}

function scheduleRetry(retry: () => void): void {
  setTimeout(retry, RETRY_MS).unref();
}
