import type { Query } from '../../redis/query.ts';
import type { RedisReply } from '../../redis/redis-reply.ts';

/** Longer values are remembered. */
const LARGE_BYTES = 2 ** 18;
/** Assumed length of a value that did not arrive in time: it may be large, or wait behind large ones. */
const TIMED_OUT_BYTES = 2 ** 20;
/** Maximum number of values, and maximum length in bytes of the id of one. */
const MAX_VALUES = 1024;
const MAX_ID_BYTES = 512;

/**
 * Lengths of the large values that this thread has loaded last: such a value is not requested before there is memory for it,
 * because Redis would send it in vain, and the values of other clients behind it.
 */
export class LargeValues {
  /** Least recently loaded first. */
  readonly #bytes = new Map<string, number>();
  /** Values of unknown length that did not arrive in time. */
  readonly #late = new Set<string>();

  /** Returns the length in bytes that a value had; undefined if it was not large or is not known. */
  bytesOf(query: Query): number | undefined {
    if (this.#bytes.size === 0) return undefined;
    const { name } = query;
    return this.#bytes.get(name) ?? (this.#late.has(name) ? TIMED_OUT_BYTES : undefined);
  }

  /** Remembers the length of the value in the reply to a query, or forgets it if it is not large. */
  note(query: Query, reply: RedisReply): void {
    if (reply.kind === 'unavailable') return;
    if (reply.kind === 'timeout') return this.#noteLate(query);
    const bytes = bytesIn(reply);
    const isLarge = bytes > LARGE_BYTES && query.id.length <= MAX_ID_BYTES;
    if (!isLarge && this.#bytes.size === 0) return;
    const { name } = query;
    this.#bytes.delete(name);
    const wasLate = this.#late.delete(name);
    if (!isLarge) {
      // Redis itself was slow, and most of the others are short as well: they must not wait for each other.
      if (wasLate || this.#bytes.size === 0) this.#late.clear();
      return;
    }
    this.#bytes.set(name, bytes);
    if (this.#bytes.size <= MAX_VALUES) return;
    const [oldest] = this.#bytes.keys();
    this.#bytes.delete(oldest);
  }

  #noteLate(query: Query): void {
    // Without large values, Redis itself is slow.
    if (this.#bytes.size === 0 || query.id.length > MAX_ID_BYTES) return;
    const { name } = query;
    if (!this.#bytes.has(name) && this.#late.size < MAX_VALUES) this.#late.add(name);
  }
}

/** Returns the length of the value in a reply, or of a value that did not fit in memory; 0 for a reply without a value. */
function bytesIn(reply: RedisReply): number {
  if (reply.kind === 'value') return reply.value.length;
  return reply.kind === 'buffer-full' ? reply.bytes : 0;
}
