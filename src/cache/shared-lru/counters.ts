import { HeaderFloat } from './memory/layout.ts';

/** Counters of the cache since its creation, over all threads. The order is the order in memory. */
export const COUNTER_NAMES = [
  'hits',
  'misses',
  'collapsed',
  'evictionsByCapacity',
  'evictionsByBytes',
  'expirations',
  'invalidations',
  'uncacheable',
  'voidedFills',
  'expiredLeases',
  'recoveries',
] as const;

export type CounterName = (typeof COUNTER_NAMES)[number];
export type Counters = Readonly<Record<CounterName, number>>;

/** Counters as floats, exact up to 2^53; written only under the cache lock. */
export class SharedCounters {
  readonly #floats: Float64Array;

  constructor(headerFloats: Float64Array) {
    this.#floats = headerFloats.subarray(HeaderFloat.COUNTERS, HeaderFloat.COUNTERS + COUNTER_NAMES.length);
  }

  /** @param counter an index, as returned by {@link counter}. */
  increment(counter: number): void {
    this.#floats[counter]++;
  }

  read(): Counters {
    return Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, this.#floats[index]])) as Counters;
  }
}

/** Returns the index of a counter; call it once, not at each increment. */
export function counter(name: CounterName): number {
  return COUNTER_NAMES.indexOf(name);
}
