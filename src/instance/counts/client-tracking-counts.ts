import { InstanceMemory, RowCount, RowWord } from '../instance-memory.ts';

const [PUSHES, DISCONNECTIONS] = [RowCount.CLIENT_TRACKING, RowCount.CLIENT_TRACKING + 1];

/** Counts about the clients of one thread that track keys (CLIENT TRACKING). Any thread can read them. */
export class ClientTrackingCounts {
  readonly #memory: InstanceMemory;
  readonly #own: Float64Array;
  readonly #clients: number;
  readonly #processed: number;

  constructor(memory: InstanceMemory, thread: number) {
    this.#memory = memory;
    this.#own = memory.countsOf(thread);
    this.#clients = InstanceMemory.word(thread, RowWord.TRACKING_CLIENTS);
    this.#processed = InstanceMemory.word(thread, RowWord.INVALIDATIONS_PROCESSED);
  }

  /** Clients of this thread that track keys; it receives invalidations only while there are any. */
  get clients(): number {
    return Atomics.load(this.#memory.words, this.#clients);
  }

  addClients(change: 1 | -1): void {
    Atomics.add(this.#memory.words, this.#clients, change);
  }

  /** Bytes of invalidations that this thread has processed; wraps around at 32 bits. */
  get processed(): number {
    return Atomics.load(this.#memory.words, this.#processed);
  }

  noteProcessed(bytes: number): void {
    Atomics.add(this.#memory.words, this.#processed, bytes);
  }

  /** Forgets the clients of this thread, which has crashed. */
  recover(): void {
    Atomics.store(this.#memory.words, this.#clients, 0);
    Atomics.store(this.#memory.words, this.#processed, 0);
  }

  /** Counts a message that was sent to a client. */
  countPush(): void {
    this.#own[PUSHES]++;
  }

  /** Counts a client that was disconnected because it did not read its messages. */
  countDisconnection(): void {
    this.#own[DISCONNECTIONS]++;
  }

  /** Invalidation messages sent to clients, of all threads. */
  get pushes(): number {
    return this.#memory.total(PUSHES);
  }

  /** Clients of all threads that were disconnected because they did not read their messages. */
  get disconnections(): number {
    return this.#memory.total(DISCONNECTIONS);
  }
}
