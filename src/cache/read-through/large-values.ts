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

  /** Returns the length in bytes that a value had; undefined if it was not large or is not known. */
  bytesOf(query: Query): number | undefined {
    return this.#bytes.size === 0 ? undefined : this.#bytes.get(query.name);
  }

  /** Remembers the length of the value in the reply to a query, or forgets it if it is not large. */
  note(query: Query, reply: RedisReply): void {
    if (reply.kind === 'unavailable') return;
    const bytes = reply.kind === 'timeout' ? (this.bytesOf(query) ?? TIMED_OUT_BYTES) : bytesIn(reply);
    const isLarge = bytes > LARGE_BYTES && query.id.length <= MAX_ID_BYTES;
    if (!isLarge && this.#bytes.size === 0) return;
    const { name } = query;
    this.#bytes.delete(name);
    if (!isLarge) return;
    this.#bytes.set(name, bytes);
    if (this.#bytes.size <= MAX_VALUES) return;
    const [oldest] = this.#bytes.keys();
    this.#bytes.delete(oldest);
  }
}

/** Returns the length of the value in a reply, or of a value that did not fit in memory; 0 for a reply without a value. */
function bytesIn(reply: RedisReply): number {
  if (reply.kind === 'value') return reply.value.length;
  return reply.kind === 'buffer-full' ? reply.bytes : 0;
}
