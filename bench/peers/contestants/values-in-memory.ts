import { type Size, keyName, valueOf } from '../store.ts';

const KEYS = 1000;

/** What a server without Redis answers with: a thousand keys of either size. */
export function valuesInMemory(): Map<string, string> {
  const values = new Map<string, string>();
  for (const size of ['small', 'large'] satisfies Size[]) {
    for (let number = 0; number < KEYS; number++) values.set(keyName(size, number), valueOf(size, number));
  }
  return values;
}
