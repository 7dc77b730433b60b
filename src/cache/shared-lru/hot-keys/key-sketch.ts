/** Number of keys that a sketch counts, a power of two. */
export const SKETCH_KEYS = 1024;
/** Bytes of a key that are stored: a longer one is told from others by these, its length and its hash. */
export const SKETCH_KEY_BYTES = 128;

/** Indices of 32-bit words in the header, which has 64 bytes. */
const Word = { USED: 0, NEXT_CANDIDATE: 1 } as const;
/** Indices of 64-bit floats in the header. */
const Float = { PERIOD: 1, READS: 2, SAMPLES: 3, LEAST: 4, SQUARES: 5 } as const;

const HEADER_BYTES = 64;
const COUNTS_AT = HEADER_BYTES;
const ERRORS_AT = COUNTS_AT + SKETCH_KEYS * 8;
const HASHES_AT = ERRORS_AT + SKETCH_KEYS * 8;
const LENGTHS_AT = HASHES_AT + SKETCH_KEYS * 4;
const CHAIN_AT = LENGTHS_AT + SKETCH_KEYS * 4;
const BUCKETS_AT = CHAIN_AT + SKETCH_KEYS * 4;
const KEYS_AT = BUCKETS_AT + SKETCH_KEYS * 4;
/** Bytes of a sketch, a multiple of 64. */
export const SKETCH_BYTES = KEYS_AT + SKETCH_KEYS * SKETCH_KEY_BYTES;

/** A key that a sketch counts. */
export interface CountedKey {
  /** The key, or its first {@link SKETCH_KEY_BYTES}. */
  readonly key: Buffer;
  readonly keyBytes: number;
  readonly hash: number;
  /** Reads counted for the key, at most {@link error} of which were reads of other keys. */
  readonly count: number;
  readonly error: number;
}

/**
 * Counts the reads of the most read keys of one period in a fixed amount of memory: Space-Saving (A. Metwally et al.,
 * "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005). If all places are taken, a new key replaces
 * the one with the lowest count, inherits that count and remembers it as its error. So a key is counted if it has more than
 * 1/{@link SKETCH_KEYS} of the reads, and no error exceeds that.
 *
 * All methods require the lock of the memory.
 */
export class KeySketch {
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  readonly #counts: Float64Array;
  readonly #errors: Float64Array;
  readonly #hashes: Int32Array;
  readonly #lengths: Int32Array;
  /** By place, the next place in the same hash bucket, plus 1; 0: none. */
  readonly #chain: Int32Array;
  /** First place of each hash bucket, plus 1; 0: none. */
  readonly #buckets: Int32Array;
  readonly #keys: Uint8Array;

  /** Maps the sketch at byte `at` of `buffer`; zeroed memory is an empty one. */
  constructor(buffer: ArrayBufferLike, at: number) {
    this.#words = new Int32Array(buffer, at, 2);
    this.#floats = new Float64Array(buffer, at, HEADER_BYTES / 8);
    this.#counts = new Float64Array(buffer, at + COUNTS_AT, SKETCH_KEYS);
    this.#errors = new Float64Array(buffer, at + ERRORS_AT, SKETCH_KEYS);
    this.#hashes = new Int32Array(buffer, at + HASHES_AT, SKETCH_KEYS);
    this.#lengths = new Int32Array(buffer, at + LENGTHS_AT, SKETCH_KEYS);
    this.#chain = new Int32Array(buffer, at + CHAIN_AT, SKETCH_KEYS);
    this.#buckets = new Int32Array(buffer, at + BUCKETS_AT, SKETCH_KEYS);
    this.#keys = new Uint8Array(buffer, at + KEYS_AT, SKETCH_KEYS * SKETCH_KEY_BYTES);
  }

  /** The period that is counted; 0 before the first {@link restart}. */
  get period(): number {
    return this.#floats[Float.PERIOD];
  }

  /** Reads added, of all keys. */
  get reads(): number {
    return this.#floats[Float.READS];
  }

  /** Calls of {@link add}. */
  get samples(): number {
    return this.#floats[Float.SAMPLES];
  }

  /**
   * Number of reads that a sample stands for, on average over the reads, not over the samples: when there are many reads at times
   * and few at others, most reads are those that few samples stand for.
   */
  get weight(): number {
    return this.reads === 0 ? 1 : this.#floats[Float.SQUARES] / this.reads;
  }

  /** Maximum number of reads of a key that is not counted. */
  get floor(): number {
    return this.#words[Word.USED] < SKETCH_KEYS ? 0 : Math.min(...this.#counts);
  }

  /** Forgets all keys and starts to count another period. */
  restart(period: number): void {
    this.#words.fill(0);
    this.#floats.fill(0);
    this.#buckets.fill(0);
    this.#floats[Float.PERIOD] = period;
  }

  /** Adds `reads` reads of a key, the first `length` bytes of `bytes`. */
  add(bytes: Uint8Array, length: number, hash: number, reads: number): void {
    this.#floats[Float.READS] += reads;
    this.#floats[Float.SAMPLES]++;
    this.#floats[Float.SQUARES] += reads * reads;
    const place = this.#find(bytes, length, hash);
    if (place !== -1) {
      this.#counts[place] += reads;
      return;
    }
    const used = this.#words[Word.USED];
    if (used < SKETCH_KEYS) {
      this.#words[Word.USED] = used + 1;
      this.#place(used, bytes, length, hash, 0, reads);
      return;
    }
    const replaced = this.#leastCounted();
    this.#unchain(replaced);
    this.#place(replaced, bytes, length, hash, this.#counts[replaced], reads);
  }

  /** Yields the keys in no order. */
  *counted(): Generator<CountedKey> {
    for (let place = 0; place < this.#words[Word.USED]; place++) {
      const keyBytes = this.#lengths[place];
      const from = place * SKETCH_KEY_BYTES;
      yield {
        key: Buffer.from(this.#keys.slice(from, from + Math.min(keyBytes, SKETCH_KEY_BYTES))),
        keyBytes,
        hash: this.#hashes[place],
        count: this.#counts[place],
        error: this.#errors[place],
      };
    }
  }

  /** Returns the place of a key; -1 if it is not counted. */
  #find(bytes: Uint8Array, length: number, hash: number): number {
    let next = this.#buckets[hash & (SKETCH_KEYS - 1)];
    for (; next !== 0; next = this.#chain[next - 1]) {
      const place = next - 1;
      if (this.#hashes[place] === hash && this.#lengths[place] === length && this.#holds(place, bytes, length)) {
        return place;
      }
    }
    return -1;
  }

  #holds(place: number, bytes: Uint8Array, length: number): boolean {
    const stored = Math.min(length, SKETCH_KEY_BYTES);
    const from = place * SKETCH_KEY_BYTES;
    for (let i = 0; i < stored; i++) if (this.#keys[from + i] !== bytes[i]) return false;
    return true;
  }

  #place(place: number, bytes: Uint8Array, length: number, hash: number, error: number, reads: number): void {
    this.#counts[place] = error + reads;
    this.#errors[place] = error;
    this.#hashes[place] = hash;
    this.#lengths[place] = length;
    const stored = Math.min(length, SKETCH_KEY_BYTES);
    const from = place * SKETCH_KEY_BYTES;
    for (let i = 0; i < stored; i++) this.#keys[from + i] = bytes[i];
    const bucket = hash & (SKETCH_KEYS - 1);
    this.#chain[place] = this.#buckets[bucket];
    this.#buckets[bucket] = place + 1;
  }

  #unchain(place: number): void {
    const bucket = this.#hashes[place] & (SKETCH_KEYS - 1);
    if (this.#buckets[bucket] === place + 1) {
      this.#buckets[bucket] = this.#chain[place];
      return;
    }
    let before = this.#buckets[bucket] - 1;
    while (this.#chain[before] !== place + 1) before = this.#chain[before] - 1;
    this.#chain[before] = this.#chain[place];
  }

  /** Returns the place with the lowest count. Counts only grow: as long as one has the lowest count seen, it is that one. */
  #leastCounted(): number {
    const least = this.#floats[Float.LEAST];
    let lowest = Infinity;
    let found = 0;
    for (let i = 0, place = this.#words[Word.NEXT_CANDIDATE]; i < SKETCH_KEYS; i++) {
      const count = this.#counts[place];
      if (count < lowest) {
        lowest = count;
        found = place;
        if (count <= least) break;
      }
      place = (place + 1) & (SKETCH_KEYS - 1);
    }
    this.#floats[Float.LEAST] = lowest;
    this.#words[Word.NEXT_CANDIDATE] = (found + 1) & (SKETCH_KEYS - 1);
    return found;
  }
}
