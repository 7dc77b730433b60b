import { InstanceMemory, InstanceWord, RowWord } from './instance-memory.ts';

/** Counts and limits the open client connections of the instance. */
export class ConnectionLimiter {
  readonly #words: Int32Array;
  readonly #own: number;
  readonly #max: number;

  constructor(memory: InstanceMemory, thread: number, max: number) {
    this.#words = memory.words;
    this.#own = InstanceMemory.word(thread, RowWord.CONNECTIONS);
    this.#max = max;
  }

  /** Counts a new connection; returns false, with nothing counted, if the limit is reached. */
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

  /** Returns a connection id that is unique in the instance: 1, 2, … */
  nextId(): number {
    return (Atomics.add(this.#words, InstanceWord.CONNECTION_IDS, 1) + 1) >>> 0;
  }

  get total(): number {
    return Atomics.load(this.#words, InstanceWord.CONNECTIONS);
  }

  /** Subtracts the connections of a crashed thread, which ended with it. */
  static recoverFrom(memory: InstanceMemory, crashedThread: number): void {
    const lost = Atomics.exchange(memory.words, InstanceMemory.word(crashedThread, RowWord.CONNECTIONS), 0);
    Atomics.sub(memory.words, InstanceWord.CONNECTIONS, lost);
  }
}
