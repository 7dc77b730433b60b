import { InstanceMemory, InstanceWord, RowWord } from './instance-memory.ts';

/** Open client connections of the whole instance, and their limit. */
export class ConnectionLimiter {
  readonly #words: Int32Array;
  readonly #own: number;
  readonly #max: number;

  constructor(memory: InstanceMemory, thread: number, max: number) {
    this.#words = memory.words;
    this.#own = InstanceMemory.word(thread, RowWord.CONNECTIONS);
    this.#max = max;
  }

  /** Counts one more, unless there are as many as there may be. */
  open(): boolean {
    if (Atomics.add(this.#words, InstanceWord.CONNECTIONS, 1) >= this.#max) {
      Atomics.sub(this.#words, InstanceWord.CONNECTIONS, 1);
      return false;
    }
    Atomics.add(this.#words, this.#own, 1);
    return true;
  }

  close(): void {
    Atomics.sub(this.#words, this.#own, 1);
    Atomics.sub(this.#words, InstanceWord.CONNECTIONS, 1);
  }

  /** A number that no other connection of the instance has had: 1, 2, … */
  nextId(): number {
    return (Atomics.add(this.#words, InstanceWord.CONNECTION_IDS, 1) + 1) >>> 0;
  }

  get total(): number {
    return Atomics.load(this.#words, InstanceWord.CONNECTIONS);
  }

  /** Takes out those of a thread that has died, whose sockets have died with it. */
  static recoverFrom(memory: InstanceMemory, deadThread: number): void {
    const lost = Atomics.exchange(memory.words, InstanceMemory.word(deadThread, RowWord.CONNECTIONS), 0);
    Atomics.sub(memory.words, InstanceWord.CONNECTIONS, lost);
  }
}
