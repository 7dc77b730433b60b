/** Orders in which keys are read, as arrays of key numbers. */
import { mulberry32 } from '../../test/support/random.ts';

const SEED = 7;

/** All keys round robin: a smaller LRU cache never contains the next key. */
export function inTurn(keys: number): Uint32Array {
  return Uint32Array.from({ length: keys }, (_, i) => i);
}

/** All keys equally often. */
export function uniform(keys: number, draws: number): Uint32Array {
  const random = mulberry32(SEED);
  return Uint32Array.from({ length: draws }, () => Math.floor(random() * keys));
}

/** Zipf: the k-th most popular key has a probability proportional to k ** -exponent; popularity is in shuffled order. */
export function zipf(keys: number, exponent: number, draws: number): Uint32Array {
  const random = mulberry32(SEED);
  const sums = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank++) sums[rank] = sum += (rank + 1) ** -exponent;
  const ofRank = shuffled(keys, random);
  return Uint32Array.from({ length: draws }, () => ofRank[firstAbove(sums, random() * sum)]);
}

/** Returns the index of the first of the ascending values that exceeds `value`, which must be below the last one. */
function firstAbove(values: Float64Array, value: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

function shuffled(count: number, random: () => number): Uint32Array {
  const numbers = inTurn(count);
  for (let i = count - 1; i > 0; i--) {
    const other = Math.floor(random() * (i + 1));
    [numbers[i], numbers[other]] = [numbers[other], numbers[i]];
  }
  return numbers;
}
