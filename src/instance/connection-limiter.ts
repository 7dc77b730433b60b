import { InstanceMemory, InstanceWord, RowWord } from './instance-memory.ts';

/** The words that count connections of each kind: those of clients, and those of the ops listener. */
const WORDS = {
  clients: { all: InstanceWord.CONNECTIONS, own: RowWord.CONNECTIONS },
  ops: { all: InstanceWord.OPS_CONNECTIONS, own: RowWord.OPS_CONNECTIONS },
} as const;

/** Counts and limits the open connections of one kind of the instance. */
export class ConnectionLimiter {
  readonly #words: Int32Array;
  readonly #all: number;
  readonly #own: number;
  readonly #max: number;

  constructor(memory: InstanceMemory, thread: number, max: number, kind: keyof typeof WORDS = 'clients') {
    this.#words = memory.words;
    this.#all = WORDS[kind].all;
    this.#own = InstanceMemory.word(thread, WORDS[kind].own);
    this.#max = max;
  }

  /** Counts a new connection; returns false, with nothing counted, if the limit is reached. */
  open(): boolean {
    if (Atomics.add(this.#words, this.#all, 1) >= this.#max) {
      Atomics.sub(this.#words, this.#all, 1);
      return false;
    }
    Atomics.add(this.#words, this.#own, 1);
    return true;
  }

  close(): void {
    Atomics.sub(this.#words, this.#own, 1);
    Atomics.sub(this.#words, this.#all, 1);
  }

  /** Returns a connection id that is unique in the instance: 1, 2, … */
  nextId(): number {
    return (Atomics.add(this.#words, InstanceWord.CONNECTION_IDS, 1) + 1) >>> 0;
  }

  get total(): number {
    return Atomics.load(this.#words, this.#all);
  }

  /** Subtracts the connections of a crashed thread, which ended with it. */
  static recoverFrom(memory: InstanceMemory, crashedThread: number): void {
    for (const { all, own } of Object.values(WORDS)) {
      const lost = Atomics.exchange(memory.words, InstanceMemory.word(crashedThread, own), 0);
      Atomics.sub(memory.words, all, lost);
    }
  }
}
