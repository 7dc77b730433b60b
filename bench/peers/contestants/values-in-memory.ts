import { type Size, keyName, valueOf } from '../store.ts';

const KEYS = 1000;

/** Returns the values of servers without Redis: a thousand keys of each size. */
export function valuesInMemory(): Map<string, string> {
  const values = new Map<string, string>();
  for (const size of ['small', 'large'] satisfies Size[]) {
    for (let number = 0; number < KEYS; number++) values.set(keyName(size, number), valueOf(size, number));
  }
  return values;
}
