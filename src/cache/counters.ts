import { HeaderFloat } from './layout.ts';

/** What the cache counts since it was made, for all threads together. The order is the order in memory. */
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

/** Floats, exact up to 2^53, that are only ever written under the cache's lock. */
export class SharedCounters {
  readonly #floats: Float64Array;

  constructor(headerFloats: Float64Array) {
    this.#floats = headerFloats.subarray(HeaderFloat.COUNTERS, HeaderFloat.COUNTERS + COUNTER_NAMES.length);
  }

  /** @param counter an index, as {@link counter} gives it. */
  increment(counter: number): void {
    this.#floats[counter]++;
  }

  read(): Counters {
    return Object.fromEntries(COUNTER_NAMES.map((name, index) => [name, this.#floats[index]])) as Counters;
  }
}

/** The index of a counter: looked up once, not at each increment. */
export function counter(name: CounterName): number {
  return COUNTER_NAMES.indexOf(name);
}
