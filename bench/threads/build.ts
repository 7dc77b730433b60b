import { existsSync } from 'node:fs';
import type { EntryId } from '../../src/cache/shared-lru/cache-types.ts';
import type { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import type { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import type { SharedLock } from '../../src/cache/shared-lru/memory/shared-lock.ts';
import type { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';
import type { Query } from '../../src/redis/query.ts';

/** The cache of one checkout of this repository. */
export interface Build {
  readonly SharedLru: typeof SharedLru;
  readonly SharedLock: typeof SharedLock;
  readonly HitBuffer: typeof HitBuffer;
  readonly monotonicClock: typeof monotonicClock;
  /** Returns what the cache is asked for to read the value of a key. */
  readonly entryOf: (key: Buffer) => EntryId;
}

/** @param root URL of the checkout, ending with a slash; another one has to have the same files and methods as this one. */
export async function loadBuild(root: string): Promise<Build> {
  const load = async (file: string): Promise<object> =>
    (await import(new URL(`src/cache/shared-lru/${file}`, root).href)) as object;
  const files = ['shared-lru.ts', 'memory/shared-lock.ts', 'hit-buffer.ts', 'clock.ts'];
  const parts = await Promise.all(files.map(load));
  return Object.assign({}, ...parts, { entryOf: await loadEntryOf(root) }) as Build;
}

async function loadEntryOf(root: string): Promise<Build['entryOf']> {
  const file = new URL('src/redis/query.ts', root);
  // A cache from before queries is asked for the key itself.
  if (!existsSync(file)) return (key) => key as unknown as EntryId;
  const module = (await import(file.href)) as { readonly Query: typeof Query };
  return (key) => module.Query.get(key);
}
