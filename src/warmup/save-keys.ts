import { setImmediate, setTimeout } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { SharedLru } from '../cache/shared-lru/shared-lru.ts';
import { withoutVariant } from '../cache/variants/variant-id.ts';
import type { WarmupState } from '../instance/warmup-state.ts';
import { WarmupFileWriter, unwritableReason } from './warmup-file.ts';

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

/** Writes the keys of the instance's cache to CACHE_WARMUP_FILE when it shuts down, and logs how that ended. */
export class KeySaver {
  readonly #logger = new Logger('Warmup');
  readonly #lru: SharedLru;
  readonly #path: string;
  readonly #state: WarmupState;

  /** @param state of the warm-up from the same file. */
  constructor(lru: SharedLru, path: string, state: WarmupState) {
    this.#lru = lru;
    this.#path = path;
    this.#state = state;
  }

  /** Logs at the start if the file could not be written at shutdown. */
  async warnIfUnwritable(): Promise<void> {
    const reason = await unwritableReason(this.#path);
    if (reason === undefined) return;
    this.#logger.warn(`CACHE_WARMUP_FILE ${this.#path} cannot be written (${reason}): the next start will not be warm`);
  }

  /** Writes the file; keeps it if not all of its keys have been loaded. Failures are logged. */
  async save(): Promise<void> {
    if (this.#state.isIncomplete) {
      const isRead = this.#state.total > 0;
      if (isRead) this.#logger.log(`${this.#path} is kept, because not all of its keys have been loaded`);
      return;
    }
    try {
      const { entries, bytes, isCut } = await saveKeys(this.#lru, this.#path);
      const rest = isCut ? '; the least recently used are left out' : '';
      this.#logger.log(`${this.#path} written (entries: ${entries}, bytes: ${bytes})${rest}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#logger.warn(`CACHE_WARMUP_FILE ${this.#path} could not be written (${code ?? message})`);
    }
  }
}
