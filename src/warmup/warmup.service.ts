import { setTimeout } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { Access } from '../access/access.ts';
import { CacheService } from '../cache/cache.service.ts';
import { cacheConfig } from '../config/namespaces.ts';
import { CoherenceState } from '../instance/coherence-state.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { WarmupState } from '../instance/warmup-state.ts';
import { RedisReader } from '../redis/redis-reader.ts';
import { Warmup } from './warmup.ts';
import { WarmupFile, WarmupFileError } from './warmup-file.ts';

/**
 * Loads the keys of CACHE_WARMUP_FILE after the start. The first thread that is ready does it, alone, so that they are loaded in
 * order; one that is restarted later does not repeat it.
 */
@Injectable()
export class WarmupService implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger('Warmup');
  readonly #cache: CacheService;
  readonly #redis: RedisReader;
  readonly #coherence: CoherenceState;
  readonly #access: Access;
  readonly #state: WarmupState;
  readonly #thread: ThreadContext;
  readonly #settings: ConfigType<typeof cacheConfig>;
  readonly #ended = new AbortController();
  #warmup: Warmup | undefined;

  constructor(
    cache: CacheService,
    redis: RedisReader,
    coherence: CoherenceState,
    access: Access,
    state: WarmupState,
    thread: ThreadContext,
    @Inject(cacheConfig.KEY) settings: ConfigType<typeof cacheConfig>,
  ) {
    this.#cache = cache;
    this.#redis = redis;
    this.#coherence = coherence;
    this.#access = access;
    this.#state = state;
    this.#thread = thread;
    this.#settings = settings;
  }

  /** Starts the warm-up, which runs in the background. */
  onApplicationBootstrap(): void {
    const { warmupFile, warmupWaitMs } = this.#settings;
    if (warmupFile === undefined || !this.#state.claim(this.#thread.threadIndex)) return;
    this.#state.awaitedUntil = this.#thread.clock() + warmupWaitMs;
    this.#run(warmupFile).catch((error: unknown) => {
      this.#state.current = 'stopped';
      if (!(error instanceof WarmupFileError)) return this.#logger.error(error);
      // There is nothing in it to keep over the next shutdown.
      this.#state.total = 0;
      this.#logger.warn(`CACHE_WARMUP_FILE ${warmupFile} ${error.message}; ignored`);
    });
  }

  onModuleDestroy(): void {
    this.#warmup?.stop();
    this.#ended.abort();
  }

  async #run(path: string): Promise<void> {
    const file = await WarmupFile.open(path);
    if (file === undefined) {
      this.#logger.log(`${path} does not exist yet; nothing to load`);
      this.#state.current = 'complete';
      return;
    }
    try {
      const ageS = Math.max(0, Math.round((Date.now() - file.writtenAt) / 1000));
      this.#logger.log(`warm-up of ${file.entries} entries in ${path}, written ${ageS} s ago`);
      this.#state.total = file.entries;
      this.#warmup = new Warmup({
        ...{ source: file, cache: this.#cache, redis: this.#redis, coherence: this.#coherence, access: this.#access },
        ...{ state: this.#state, clock: this.#thread.clock, log: this.#logger },
        sleep: (ms) => setTimeout(ms, undefined, { signal: this.#ended.signal, ref: false }).catch(() => undefined),
        capacity: this.#settings.capacity,
        waitMs: this.#settings.warmupWaitMs,
      });
      if (this.#ended.signal.aborted) this.#warmup.stop();
      await this.#warmup.run();
    } finally {
      await file.close();
    }
  }
}
