import { hashKey } from './hash.ts';

/** Returns `count` different keys that all hash to the last of `buckets` buckets. */
export function keysOfOneBucket(count: number, buckets: number, seeds: readonly [number, number]): Buffer[] {
  const found: Buffer[] = [];
  for (let i = 0; found.length < count; i++) {
    const key = Buffer.from(`bucket:${i}`);
    if ((hashKey(key, ...seeds) & (buckets - 1)) === buckets - 1) found.push(key);
  }
  return found;
}

/**
 * Returns two keys of the same length with the same hash. By the birthday bound, some 100,000 keys suffice.
 *
 * @param prefix what both start with.
 */
export function keysOfOneHash(prefix: string, seeds: readonly [number, number]): [Buffer, Buffer] {
  const seen = new Map<number, number>();
  const name = (i: number): Buffer => Buffer.from(prefix + i.toString(36).padStart(6, '0'));
  for (let i = 0; ; i++) {
    const hash = hashKey(name(i), ...seeds);
    const other = seen.get(hash);
    if (other !== undefined) return [name(other), name(i)];
    seen.set(hash, i);
  }
}
