import { INTERNAL_PARTS, type InternalPartName } from '../internals/internal-part.ts';
import type { CircuitState } from '../redis/connection/circuit-breaker.ts';
import {
  CIRCUIT_STATES,
  InstanceMemory,
  InstanceWord,
  RowWord,
  SELF_CHECK_PARTS,
  type SelfCheckPart,
} from './instance-memory.ts';
import { ReadSourceCounts } from './counts/read-source-counts.ts';

/** Statistics of the instance apart from its cache. */
export class InstanceStats {
  readonly #memory: InstanceMemory;
  /** Configured number of worker threads. */
  readonly threads: number;
  /** What keys are loaded from with REDIS_READ_FROM. */
  readonly readSources: ReadSourceCounts;

  constructor(memory: InstanceMemory, threads: number) {
    this.#memory = memory;
    this.threads = threads;
    this.readSources = new ReadSourceCounts(memory);
  }

  get loads(): number {
    return this.#word(InstanceWord.LOADS);
  }

  get queuedLoads(): number {
    return this.#word(InstanceWord.WAITING_LOADS);
  }

  get connections(): number {
    return this.#word(InstanceWord.CONNECTIONS);
  }

  /** Connections of the ops listener (OPS_PORT). */
  get opsConnections(): number {
    return this.#word(InstanceWord.OPS_CONNECTIONS);
  }

  /** Connections of the Redis protocol accepted since the start. */
  get respConnections(): number {
    return this.#word(InstanceWord.CONNECTION_IDS) >>> 0;
  }

  /** Clients of the Redis protocol that track keys (CLIENT TRACKING). */
  get trackingClients(): number {
    return this.#memory.sum(RowWord.TRACKING_CLIENTS);
  }

  /** Number of crashed threads that were restarted. */
  get restarts(): number {
    return this.#word(InstanceWord.RESTARTS);
  }

  /** Times that Redis or a sentinel rejected credentials. */
  get loginFailures(): number {
    return this.#word(InstanceWord.LOGIN_FAILURES);
  }

  /** Number of threads that are connected to Redis. */
  get redisConnections(): number {
    return this.#memory.sum(RowWord.REDIS_READY);
  }

  /** Returns the number of threads whose circuit breaker is in a state. */
  circuits(state: CircuitState): number {
    const wanted = CIRCUIT_STATES.indexOf(state);
    let threads = 0;
    for (let row = 0; row < this.threads; row++) {
      if (Atomics.load(this.#memory.words, InstanceMemory.word(row, RowWord.CIRCUIT)) === wanted) threads++;
    }
    return threads;
  }

  /** Whether all threads use a private part of Node.js or ioredis. */
  usesInternals(name: InternalPartName): boolean {
    const bit = 1 << INTERNAL_PARTS.indexOf(name);
    for (let row = 0; row < this.threads; row++) {
      if ((Atomics.load(this.#memory.words, InstanceMemory.word(row, RowWord.INTERNALS)) & bit) === 0) return false;
    }
    return true;
  }

  /** Returns the number of threads whose last self-check of a part failed. */
  failingSelfChecks(part: SelfCheckPart): number {
    const bit = 1 << SELF_CHECK_PARTS.indexOf(part);
    let threads = 0;
    for (let row = 0; row < this.threads; row++) {
      if (Atomics.load(this.#memory.words, InstanceMemory.word(row, RowWord.SELF_CHECK)) & bit) threads++;
    }
    return threads;
  }

  #word(word: number): number {
    return Atomics.load(this.#memory.words, word);
  }
}
