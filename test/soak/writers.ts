import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Random } from './random.ts';
import { type Key, valueOf } from './truth.ts';
import type { Verdicts } from './verdicts.ts';

const WRITERS = 4;
const PAUSE_MS = 12;
const LONGEST_LIFE_MS = 3000;

/** Write the keys, each key one after the other, and note when it was what. */
export class Writers {
  readonly #client: Redis;
  readonly #keys: readonly Key[];
  readonly #random: Random;
  readonly #verdicts: Verdicts;
  /** The writes that are under way. */
  readonly #current = new Set<Promise<void>>();
  #held = false;

  constructor(url: string, keys: readonly Key[], random: Random, verdicts: Verdicts) {
    // A command is sent once or not at all: were it sent again, it could be carried out when nobody knows of it.
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
    this.#verdicts = verdicts;
  }

  /** Gives every key a value. */
  async begin(): Promise<void> {
    while (this.#client.status !== 'ready') await delay(10);
    for (const key of this.#keys) await this.#write(key, 'set');
  }

  async run(ending: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: WRITERS }, (_, writer) => this.#runOne(writer, ending)));
    this.#client.disconnect();
  }

  /** Removes all keys at once. */
  async removeAll(): Promise<void> {
    this.#held = true;
    await Promise.all(this.#current);
    const writes = this.#keys.map((key) => key.history.begin(undefined, performance.now()));
    try {
      await this.#client.flushall();
      for (const write of writes) write.acknowledgedAt = performance.now();
    } catch {
      this.#verdicts.count('write: outcome unknown');
    }
    this.#held = false;
  }

  async #runOne(writer: number, ending: AbortSignal): Promise<void> {
    const keys = this.#keys.filter((_, index) => index % WRITERS === writer);
    while (!ending.aborted) {
      await delay(PAUSE_MS);
      if (this.#held || this.#client.status !== 'ready') continue;
      const kind = this.#random.pick(['set', 'set', 'set', 'append', 'expire', 'remove'] as const);
      const write = this.#write(keys[this.#random.hot(keys.length)], kind);
      this.#current.add(write);
      await write;
      this.#current.delete(write);
    }
  }

  async #write(key: Key, kind: 'set' | 'append' | 'expire' | 'remove'): Promise<void> {
    const { history, name } = key;
    const lifeMs = kind === 'expire' ? this.#random.whole(1, LONGEST_LIFE_MS) : Infinity;
    const version = kind === 'remove' ? undefined : ++key.version;
    const write = history.begin(version, performance.now(), lifeMs);
    try {
      await this.#send(name, version === undefined ? undefined : valueOf(key, version), lifeMs, kind === 'append');
      write.acknowledgedAt = performance.now();
      this.#verdicts.count(`write: ${kind}`);
    } catch {
      this.#verdicts.count('write: outcome unknown');
    }
  }

  async #send(name: string, value: string | undefined, lifeMs: number, inParts: boolean): Promise<void> {
    if (value === undefined) await this.#client.del(name);
    else if (lifeMs !== Infinity) await this.#client.set(name, value, 'PX', lifeMs);
    else if (!inParts) await this.#client.set(name, value);
    else await this.#client.multi().set(name, value.slice(0, 1)).append(name, value.slice(1)).exec();
  }
}
