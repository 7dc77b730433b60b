import { MAX_KEY_BYTES } from '../access/access.ts';
import { type SelectedKeys, keysMatching, keysWithPrefix } from '../access/key-selection.ts';
import type { SharedLru } from '../cache/shared-lru/shared-lru.ts';
import type { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import type { InvalidationQueue, QueueSchedule } from './invalidation-queue.ts';

/** Maximum number and bytes of pending prefixes and patterns; beyond it the whole cache is flushed instead. */
export const MAX_PENDING_SELECTIONS = 100;
export const MAX_PENDING_BYTES = 128 * 1024;

/** What a message on CACHE_PURGE_CHANNEL purges. */
interface PurgeOrder {
  readonly keys: readonly Buffer[];
  readonly selection: SelectedKeys | undefined;
}

/**
 * Parses a message: a key, or `key:`, `prefix:` or `pattern:` and what follows. Any message is also a key, so that a
 * publisher of plain keys also purges keys that begin with one of these words. Returns a text that says why a message cannot
 * be understood.
 */
export function parsePurgeMessage(message: Buffer): PurgeOrder | string {
  if (message.length === 0) return 'it is empty';
  const [word] = /^(?:key|prefix|pattern):/.exec(message.toString('latin1', 0, 8)) ?? [''];
  const rest = message.subarray(word.length);
  const keys = [message, ...(word === 'key:' ? [rest] : [])].filter(({ length }) => length <= MAX_KEY_BYTES);
  if (word === '' || word === 'key:') {
    if (rest.length === 0) return 'the key is empty';
    return rest.length > MAX_KEY_BYTES ? 'the key is too long' : { keys, selection: undefined };
  }
  const what = word.slice(0, -1);
  // The message is a view of a larger received chunk; copy it.
  const selection = what === 'prefix' ? keysWithPrefix(Buffer.from(rest)) : keysMatching(rest);
  if (typeof selection === 'object') return { keys, selection };
  return `the ${what} is ${selection === 'empty' ? 'empty' : selection === 'too-long' ? 'too long' : 'invalid'}`;
}

/** Dependencies of {@link ChannelPurges}. */
export interface ChannelPurgesParts {
  readonly lru: Pick<SharedLru, 'purgeMatching'>;
  readonly queue: Pick<InvalidationQueue, 'purge' | 'flush' | 'expireAll'>;
  readonly counts: CoherenceCounts;
  readonly schedule: QueueSchedule;
  /** Called with the reason why a message was ignored. */
  readonly onIgnored: (reason: string) => void;
}

interface PendingSelection {
  readonly selection: SelectedKeys;
  readonly onDone: () => void;
}

/**
 * Applies the messages on CACHE_PURGE_CHANNEL to the cache. One walk over the cache purges all prefixes and patterns that were
 * pending when it began, so a flood of messages costs a bounded number of walks and a bounded amount of memory.
 *
 * Runs in the main thread and never waits for the lock of the cache, as {@link InvalidationQueue}.
 */
export class ChannelPurges {
  readonly #parts: ChannelPurgesParts;
  #pending: PendingSelection[] = [];
  #pendingBytes = 0;
  #isWalking = false;

  constructor(parts: ChannelPurgesParts) {
    this.#parts = parts;
  }

  receive(message: Buffer): void {
    const { queue, counts, onIgnored } = this.#parts;
    const order = parsePurgeMessage(message);
    if (typeof order === 'string') {
      counts.countIgnoredPurge();
      onIgnored(order);
      return;
    }
    // Counted after it took effect, so that readers of the counter can rely on it.
    let left = order.keys.length + (order.selection === undefined ? 0 : 1);
    const onDone = (): void => {
      if (--left === 0) counts.countPurge();
    };
    for (const key of order.keys) queue.purge(key, onDone);
    if (order.selection !== undefined) this.#purgeMatching(order.selection, message.length, onDone);
  }

  /** Expires all entries: purges may have been missed. */
  expireAll(): void {
    this.#parts.queue.expireAll();
  }

  #purgeMatching(selection: SelectedKeys, bytes: number, onDone: () => void): void {
    this.#pending.push({ selection, onDone });
    this.#pendingBytes += bytes;
    if (this.#pending.length > MAX_PENDING_SELECTIONS || this.#pendingBytes > MAX_PENDING_BYTES) {
      const flushed = this.#takePending();
      this.#parts.queue.flush(() => complete(flushed));
    } else if (!this.#isWalking) {
      this.#walk();
    }
  }

  #walk(): void {
    const { lru, schedule } = this.#parts;
    // A flush since this walk was scheduled may have included everything.
    this.#isWalking = this.#pending.length > 0;
    if (!this.#isWalking) return;
    const selected = this.#takePending();
    const purge = lru.purgeMatching(unionOf(selected.map(({ selection }) => selection)));
    const advance = (): void => {
      const step = purge.tryStep();
      this.#isWalking = step !== 'done';
      if (this.#isWalking) {
        schedule[step === 'locked' ? 'retry' : 'next'](advance);
        return;
      }
      complete(selected);
      if (this.#pending.length > 0) schedule.next(() => this.#walk());
      this.#isWalking = this.#pending.length > 0;
    };
    advance();
  }

  #takePending(): readonly PendingSelection[] {
    const taken = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    return taken;
  }
}

function unionOf(all: readonly SelectedKeys[]): SelectedKeys {
  return {
    keyBytesPerStep: Math.min(...all.map(({ keyBytesPerStep }) => keyBytesPerStep)),
    matches: (source, from, to) => all.some((each) => each.matches(source, from, to)),
  };
}

function complete(selected: readonly PendingSelection[]): void {
  for (const { onDone } of selected) onDone();
}
