import { Header, type LruMemory, RING_TOUCHES, RING_WORDS, Ring, TOUCH_WORDS, Touch } from './layout.ts';

const HALF = RING_TOUCHES / 2;
/** In place of the position of the own ring, if the thread has none. */
const NO_RING = -1;

/** What touches are applied to. */
export interface OrderOfUse {
  /** Makes an entry, read at `time`, the most recently used one, if the slot still has this version. */
  applyTouch(slot: number, version: number, time: number): void;
}

/**
 * Rings of touches: each thread notes the entries that it reads, with the time, in a ring of its own in shared memory, and
 * without the lock. A thread that needs the order of use drains all rings under the lock, in the order of time. The ring of
 * a thread that has ended stays with its touches, and another thread may continue it.
 */
export class TouchRings {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #floats: Float64Array;
  /** First word of the own ring. */
  readonly #own: number;
  /** Head from which on the tail must be looked at again. */
  #checkAt: number;
  /** While draining, by ring: number of the next touch, number of touches, and time of the next touch. */
  readonly #next: Int32Array;
  readonly #heads: Int32Array;
  readonly #times: Float64Array;
  /** Binary heap of rings, the one with the earliest touch first. */
  readonly #heap: Int32Array;

  /** Takes a ring for the thread; if none is free, {@link isAvailable} is false. */
  constructor(memory: LruMemory, thread: number) {
    this.#header = memory.header;
    this.#words = memory.rings;
    this.#floats = memory.ringFloats;
    const rings = memory.rings.length / RING_WORDS;
    this.#next = new Int32Array(rings);
    this.#heads = new Int32Array(rings);
    this.#times = new Float64Array(rings);
    this.#heap = new Int32Array(rings);
    this.#own = this.#claim(thread);
    this.#checkAt = this.isAvailable ? (Atomics.load(this.#words, this.#own + Ring.TAIL) + HALF) | 0 : 0;
  }

  /** Whether this thread has a ring. */
  get isAvailable(): boolean {
    return this.#own !== NO_RING;
  }

  /** Whether the own ring is at least half full, so that it should be drained. Needs no lock. */
  isDue(): boolean {
    return ((this.#words[this.#own + Ring.HEAD] - this.#checkAt) | 0) >= 0 && this.#isHalfFull();
  }

  /** Whether the own ring must be drained before the next touch. Needs no lock. */
  isFull(): boolean {
    return this.#length() >= RING_TOUCHES;
  }

  /**
   * Notes that this thread has read an entry; the ring must not be full. Needs no lock. Ends with an atomic store: what the
   * thread has read before is not read after it.
   */
  push(slot: number, version: number, time: number): void {
    const head = this.#words[this.#own + Ring.HEAD];
    const at = this.#own + Ring.TOUCHES + (head & (RING_TOUCHES - 1)) * TOUCH_WORDS;
    this.#words[at + Touch.SLOT] = slot;
    this.#words[at + Touch.VERSION] = version;
    this.#floats[(at + Touch.TIME) >>> 1] = time;
    Atomics.store(this.#words, this.#own + Ring.HEAD, head + 1);
  }

  /** Counts a hit of this thread, which must have a ring. Needs no lock. */
  countHit(): void {
    this.#floats[(this.#own + Ring.HITS) >>> 1]++;
  }

  /** Hits counted in all rings. */
  get hits(): number {
    let hits = 0;
    for (let at = 0; at < this.#words.length; at += RING_WORDS) hits += this.#floats[(at + Ring.HITS) >>> 1];
    return hits;
  }

  /**
   * Removes the touches of all rings and applies them in the order of time; equal times in the order of the rings. Requires
   * the cache lock.
   *
   * @param until a time read before this call. Later touches of other threads stay: a read that started before it may note
   * its touch, in a ring that has been looked at already, after this one ends. The own ring becomes empty.
   */
  drain(order: OrderOfUse, until: number): void {
    const words = this.#words;
    const end = this.#header[Header.RINGS_USED] * RING_WORDS;
    let count = 0;
    for (let at = 0, ring = 0; at < end; at += RING_WORDS, ring++) {
      if (words[at + Ring.HEAD] !== words[at + Ring.TAIL]) this.#heap[count++] = ring;
    }
    if (count === 1) this.#drainRing(this.#heap[0], order, until);
    else if (count > 1) this.#merge(count, order, until);
  }

  /** Gives the ring of a thread that has ended to the next thread that takes one. Its touches stay. */
  release(thread: number): void {
    for (let at = 0; at < this.#words.length; at += RING_WORDS) {
      Atomics.compareExchange(this.#words, at + Ring.OWNER, thread, 0);
    }
  }

  /** Returns the first word of the thread's ring, or of a free one that is its own from now on. */
  #claim(thread: number): number {
    for (let at = 0; at < this.#words.length; at += RING_WORDS) {
      if (Atomics.load(this.#words, at + Ring.OWNER) === thread) return at;
    }
    for (let at = 0; at < this.#words.length; at += RING_WORDS) {
      if (Atomics.compareExchange(this.#words, at + Ring.OWNER, 0, thread) !== 0) continue;
      const used = at / RING_WORDS + 1;
      for (let was = Atomics.load(this.#header, Header.RINGS_USED); was < used;) {
        was = Atomics.compareExchange(this.#header, Header.RINGS_USED, was, used);
      }
      return at;
    }
    return NO_RING;
  }

  #drainRing(ring: number, order: OrderOfUse, until: number): void {
    const words = this.#words;
    this.#heads[ring] = this.#head(ring);
    let next = words[ring * RING_WORDS + Ring.TAIL];
    for (; this.#advance(ring, next, until); next = (next + 1) | 0) {
      const at = touchAt(ring, next);
      order.applyTouch(words[at + Touch.SLOT], words[at + Touch.VERSION], this.#times[ring]);
    }
    this.#setTail(ring, next);
  }

  /** Drains the first `rings` rings of the heap array, which are in no order yet. */
  #merge(rings: number, order: OrderOfUse, until: number): void {
    const words = this.#words;
    let count = 0;
    for (let i = 0; i < rings; i++) {
      const ring = this.#heap[i];
      this.#heads[ring] = this.#head(ring);
      if (this.#advance(ring, words[ring * RING_WORDS + Ring.TAIL], until)) this.#heap[count++] = ring;
    }
    for (let i = (count >> 1) - 1; i >= 0; i--) this.#siftDown(i, count);
    while (count > 0) {
      const ring = this.#heap[0];
      const at = touchAt(ring, this.#next[ring]);
      order.applyTouch(words[at + Touch.SLOT], words[at + Touch.VERSION], this.#times[ring]);
      const next = (this.#next[ring] + 1) | 0;
      if (!this.#advance(ring, next, until)) {
        this.#setTail(ring, next);
        this.#heap[0] = this.#heap[--count];
      }
      this.#siftDown(0, count);
    }
  }

  /** Makes touch `next` the next one of a ring; returns false if the ring has no touch left that must be applied now. */
  #advance(ring: number, next: number, until: number): boolean {
    if (next === this.#heads[ring]) return false;
    const time = this.#floats[(touchAt(ring, next) + Touch.TIME) >>> 1];
    this.#next[ring] = next;
    this.#times[ring] = time;
    return time <= until || ring * RING_WORDS === this.#own;
  }

  /** Returns the head of a ring; the touches before it are complete. */
  #head(ring: number): number {
    const at = ring * RING_WORDS + Ring.HEAD;
    // Atomics cost more than the touch.
    return ring * RING_WORDS === this.#own ? this.#words[at] : Atomics.load(this.#words, at);
  }

  /** Lets the owner of a ring overwrite the touches before `tail`. */
  #setTail(ring: number, tail: number): void {
    const at = ring * RING_WORDS + Ring.TAIL;
    if (ring * RING_WORDS === this.#own) this.#words[at] = tail;
    else Atomics.store(this.#words, at, tail);
  }

  #length(): number {
    return (this.#words[this.#own + Ring.HEAD] - Atomics.load(this.#words, this.#own + Ring.TAIL)) | 0;
  }

  #isHalfFull(): boolean {
    const head = this.#words[this.#own + Ring.HEAD];
    const length = this.#length();
    const tail = head - length;
    this.#checkAt = (tail + (length < HALF ? HALF : RING_TOUCHES)) | 0;
    return length >= HALF;
  }

  #siftDown(at: number, length: number): void {
    const heap = this.#heap;
    const ring = heap[at];
    for (let child = 2 * at + 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && this.#isBefore(heap[child + 1], heap[child])) child++;
      if (!this.#isBefore(heap[child], ring)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = ring;
  }

  #isBefore(ring: number, other: number): boolean {
    const time = this.#times[ring];
    return time < this.#times[other] || (time === this.#times[other] && ring < other);
  }
}

/** Returns the first word of a touch, given its number since the creation of the cache. */
function touchAt(ring: number, number: number): number {
  return ring * RING_WORDS + Ring.TOUCHES + (number & (RING_TOUCHES - 1)) * TOUCH_WORDS;
}
