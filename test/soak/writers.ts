import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Random } from './random.ts';
import { type Key, valueOf } from './keys.ts';
import type { Checks } from './checks.ts';

const WRITERS = 4;
const PAUSE_MS = 12;
const MAX_TTL_MS = 3000;

/** Write random keys, at most one write per key at a time, and record their histories. */
export class Writers {
  readonly #client: Redis;
  readonly #keys: readonly Key[];
  readonly #random: Random;
  readonly #checks: Checks;
  /** Writes that have not been acknowledged yet. */
  readonly #inFlight = new Set<Promise<void>>();
  #paused = false;

  constructor(url: string, keys: readonly Key[], random: Random, checks: Checks) {
    // Commands are never sent again: a repeated command could be executed at a time that the history does not know.
    this.#client = new Redis(url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      retryStrategy: () => 50,
      connectionName: 'soak-writer',
    });
    this.#client.on('error', () => undefined);
    this.#keys = keys;
    this.#random = random;
    this.#checks = checks;
  }

  /** Writes every key once. */
  async begin(): Promise<void> {
    while (this.#client.status !== 'ready') await delay(10);
    for (const key of this.#keys) await this.#write(key, 'set');
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => this.#runOne(writer, signal)));
    this.#client.disconnect();
  }

  /** Removes all keys with FLUSHALL. */
  async removeAll(): Promise<void> {
    this.#paused = true;
    await Promise.all(this.#inFlight);
    const writes = this.#keys.map((key) => key.history.begin(undefined, performance.now()));
    try {
      await this.#client.flushall();
      for (const write of writes) write.acknowledgedAt = performance.now();
    } catch {
      this.#checks.count('write: outcome unknown');
    }
    this.#paused = false;
  }

  async #runOne(writer: number, signal: AbortSignal): Promise<void> {
    const keys = this.#keys.filter((_, index) => index % WRITERS === writer);
    while (!signal.aborted) {
      await delay(PAUSE_MS);
      if (this.#paused || this.#client.status !== 'ready') continue;
      const kind = this.#random.pick(['set', 'set', 'set', 'append', 'expire', 'remove'] as const);
      const write = this.#write(keys[this.#random.hot(keys.length)], kind);
      this.#inFlight.add(write);
      await write;
      this.#inFlight.delete(write);
    }
  }

  async #write(key: Key, kind: 'set' | 'append' | 'expire' | 'remove'): Promise<void> {
    const { history, name } = key;
    const ttlMs = kind === 'expire' ? this.#random.integer(1, MAX_TTL_MS) : Infinity;
    const version = kind === 'remove' ? undefined : ++key.version;
    const write = history.begin(version, performance.now(), ttlMs);
    try {
      await this.#send(name, version === undefined ? undefined : valueOf(key, version), ttlMs, kind === 'append');
      write.acknowledgedAt = performance.now();
      this.#checks.count(`write: ${kind}`);
    } catch {
      this.#checks.count('write: outcome unknown');
    }
  }

  async #send(name: string, value: string | undefined, ttlMs: number, inParts: boolean): Promise<void> {
    if (value === undefined) await this.#client.del(name);
    else if (ttlMs !== Infinity) await this.#client.set(name, value, 'PX', ttlMs);
    else if (!inParts) await this.#client.set(name, value);
    else await this.#client.multi().set(name, value.slice(0, 1)).append(name, value.slice(1)).exec();
  }
}
