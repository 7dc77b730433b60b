import type { monotonicClock } from '../../src/cache/shared-lru/clock.ts';
import type { HitBuffer } from '../../src/cache/shared-lru/hit-buffer.ts';
import type { SharedLock } from '../../src/cache/shared-lru/memory/shared-lock.ts';
import type { SharedLru } from '../../src/cache/shared-lru/shared-lru.ts';

/** The cache of one checkout of this repository. */
export interface Build {
  readonly SharedLru: typeof SharedLru;
  readonly SharedLock: typeof SharedLock;
  readonly HitBuffer: typeof HitBuffer;
  readonly monotonicClock: typeof monotonicClock;
}

/** @param root URL of the checkout, ending with a slash; another one has to have the same files and methods as this one. */
export async function loadBuild(root: string): Promise<Build> {
  const load = async (file: string): Promise<object> =>
    (await import(new URL(`src/cache/shared-lru/${file}`, root).href)) as object;
  const files = ['shared-lru.ts', 'memory/shared-lock.ts', 'hit-buffer.ts', 'clock.ts'];
  return Object.assign({}, ...(await Promise.all(files.map(load)))) as Build;
}
