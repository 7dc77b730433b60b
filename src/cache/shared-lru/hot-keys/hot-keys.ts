import type { EntryId } from '../cache-types.ts';
import type { KeyIndex } from '../index/key-index.ts';
import type { Cursor, ItemBytes } from '../memory/item-bytes.ts';
import { HOT_KEYS_HEADER_BYTES, HOT_KEY_SKETCHES, type LruMemory, MAX_ID_BYTES, NONE } from '../memory/layout.ts';
import type { Slots } from '../slots.ts';
import { KeySketch, SKETCH_BYTES } from './key-sketch.ts';

/** Milliseconds that one sketch counts: {@link HOT_KEY_SKETCHES} of them are the last minute. */
const PERIOD_MS = 10_000;

/** Milliseconds, and samples in them above which fewer reads are sampled; below a quarter of that, more are. */
const INTERVAL_MS = 100;
const MAX_SAMPLES = 128;
/** Maximum number of reads that one sample stands for, a power of two. */
const MAX_WEIGHT = 2 ** 16;

/** Indices of 32-bit words in the header, which has 64 bytes. */
const Word = {
  /** Reads until the next sample, which is due at 0 or below. */
  SKIP: 0,
  /** Number of reads that the next sample stands for; 0 before the first one. */
  WEIGHT: 1,
  /** Samples in this interval. */
  SAMPLES: 2,
} as const;
/** Indices of 64-bit floats in the header: when the interval ends, and since when reads are counted. */
const Float = { INTERVAL_END: 2, SINCE: 3 } as const;

/**
 * Counts the reads of the most read keys in the last minute, for all threads in one piece of shared memory. Hits are counted
 * when their touches are drained, other reads when they are decided under the lock.
 *
 * Of many reads only some are looked at: every n-th on average, at random distances, so that no pattern of reads escapes. A
 * sample counts for the n reads. n is 1 up to {@link MAX_SAMPLES} reads in {@link INTERVAL_MS}, and doubles or halves with the
 * number of samples; so their cost is bounded however many reads there are. All methods require the cache lock.
 */
export class HotKeys {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #buffer: SharedArrayBuffer;
  readonly #at: number;
  readonly #sketches: readonly KeySketch[];
  readonly #index: KeyIndex;
  readonly #slots: Slots;
  readonly #items: ItemBytes;
  readonly #random: () => number;
  readonly #key = new Uint8Array(MAX_ID_BYTES);
  readonly #keyWords = new BigInt64Array(this.#key.buffer);
  readonly #cursor: Cursor = { block: NONE, word: 0 };

  /** @param memory the cache's memory, and the offset of the part for hot keys in it. */
  constructor(
    { buffer, hotKeysAt: at }: Pick<LruMemory, 'buffer' | 'hotKeysAt'>,
    parts: { readonly index: KeyIndex; readonly slots: Slots; readonly items: ItemBytes },
    random: () => number = Math.random,
  ) {
    this.#words = new Int32Array(buffer, at, HOT_KEYS_HEADER_BYTES / 4);
    this.#floats = new Float64Array(buffer, at, HOT_KEYS_HEADER_BYTES / 8);
    this.#buffer = buffer;
    this.#at = at;
    this.#sketches = Array.from({ length: HOT_KEY_SKETCHES }, (_, i) => new KeySketch(buffer, sketchAt(at, i)));
    this.#index = parts.index;
    this.#slots = parts.slots;
    this.#items = parts.items;
    this.#random = random;
  }

  /** Forgets all reads, and counts those from `now` on. */
  restart(now: number): void {
    this.#words.fill(0);
    this.#floats.fill(0);
    this.#floats[Float.SINCE] = now;
    for (const sketch of this.#sketches) sketch.restart(0);
  }

  /** Counts a read at `time` of the entry in a slot. */
  countEntry(slot: number, time: number): void {
    if (--this.#words[Word.SKIP] > 0 && !this.#isLate(time)) return;
    const length = this.#slots.keyBytes(slot);
    this.#items.read(slot, 0, this.#keyWords, 0, length, this.#cursor);
    this.#sample(this.#key, length, time);
  }

  /** Counts a read at `time` that found no entry. */
  countMiss({ id, selectorLength }: EntryId, time: number): void {
    if (--this.#words[Word.SKIP] > 0 && !this.#isLate(time)) return;
    this.#sample(id, id.length - selectorLength, time);
  }

  /** Copies one sketch; `i` is 0 to {@link HOT_KEY_SKETCHES} - 1. */
  copySketch(i: number): KeySketch {
    const at = sketchAt(this.#at, i);
    return new KeySketch(this.#buffer.slice(at, at + SKETCH_BYTES), 0);
  }

  /** Returns the milliseconds of the window that ends `now`. */
  windowMs(now: number): number {
    const start = (periodOf(now) - HOT_KEY_SKETCHES) * PERIOD_MS;
    return now - Math.max(start, this.#floats[Float.SINCE]);
  }

  #sample(key: Uint8Array, length: number, time: number): void {
    const weight = this.#isLate(time) ? 1 : Math.max(1, this.#words[Word.WEIGHT]);
    const period = periodOf(time);
    const sketch = this.#sketches[period % HOT_KEY_SKETCHES];
    if (sketch.period < period) sketch.restart(period);
    // Otherwise the read was more than a minute ago, noted by a thread that has been idle since.
    if (sketch.period === period) sketch.add(key, length, this.#index.hash(key, 0, length), weight);
    const next = this.#nextWeight(weight, time);
    this.#words[Word.WEIGHT] = next;
    this.#words[Word.SKIP] = next === 1 ? 1 : 1 + Math.floor(this.#random() * (2 * next - 1));
  }

  /**
   * Whether there was no sample for so long that there are few reads now: then each is looked at and counts for itself. The
   * reads skipped since the last sample are few beside those before, and of other keys.
   */
  #isLate(time: number): boolean {
    return time >= this.#floats[Float.INTERVAL_END] + INTERVAL_MS;
  }

  #nextWeight(weight: number, time: number): number {
    const words = this.#words;
    if (time >= this.#floats[Float.INTERVAL_END]) {
      if (words[Word.SAMPLES] < MAX_SAMPLES / 4) weight = Math.max(1, weight / 2);
      words[Word.SAMPLES] = 0;
      this.#floats[Float.INTERVAL_END] = time + INTERVAL_MS;
    }
    if (++words[Word.SAMPLES] < MAX_SAMPLES || weight === MAX_WEIGHT) return weight;
    // With this weight there would have been half as many.
    words[Word.SAMPLES] = MAX_SAMPLES / 2;
    return weight * 2;
  }
}

/** Returns the number of the period of a time, from 1 on. */
export function periodOf(time: number): number {
  return Math.floor(time / PERIOD_MS) + 1;
}

function sketchAt(at: number, i: number): number {
  return at + HOT_KEYS_HEADER_BYTES + i * SKETCH_BYTES;
}
