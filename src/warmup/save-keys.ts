import { setImmediate, setTimeout } from 'node:timers/promises';
import type { SharedLru } from '../cache/shared-lru/shared-lru.ts';
import { withoutVariant } from '../cache/variants/variant-id.ts';
import { WarmupFileWriter } from './warmup-file.ts';

/** Milliseconds after which no more keys are added: an orchestrator waits for the end of the process. */
const MAX_COLLECTING_MS = 3000;
/** Milliseconds after which a step is tried again while the cache's lock is held. */
const RETRY_MS = 1;

export interface SavedKeys {
  readonly entries: number;
  readonly bytes: number;
  /** Whether the least recently used ones were left out, because the file is limited in size, and in the time to write it. */
  readonly isCut: boolean;
}

/**
 * Writes the keys of a cache, with the selectors of their queries, to a file: most recently used first, and without those whose
 * TTL has elapsed.
 *
 * @param now returns milliseconds.
 * @throws NodeJS.ErrnoException, WarmupFileError if the file cannot be written; the one from before stays.
 */
export async function saveKeys(
  lru: SharedLru,
  path: string,
  now = (): number => performance.now(),
): Promise<SavedKeys> {
  const deadline = now() + MAX_COLLECTING_MS;
  const writer = await WarmupFileWriter.create(path);
  try {
    const walk = lru.walkByRecency();
    let isCut = false;
    const add: Parameters<typeof walk.tryStep>[0] = (bytes, from, to, selectorLength) => {
      isCut ||= writer.isFull;
      if (isCut) return;
      // A variant is not loaded, but what it is made of, which may have been evicted because it is read less.
      const shorter = withoutVariant(bytes, to, selectorLength);
      writer.add(bytes, from, to - shorter, selectorLength - shorter);
    };
    for (let step = walk.tryStep(add); step !== 'done' && !isCut; step = walk.tryStep(add)) {
      if (step === 'locked') await setTimeout(RETRY_MS);
      await writer.flush();
      await setImmediate();
      isCut = now() >= deadline;
    }
    await writer.commit();
    return { entries: writer.entries, bytes: writer.bytes, isCut };
  } catch (error) {
    await writer.abandon();
    throw error;
  }
}
