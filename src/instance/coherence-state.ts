import { type InstanceMemory, InstanceWord } from './instance-memory.ts';

/**
 * What the cache can know of writes to Redis. `ttl`: nothing, entries end with their time. `tracking`: Redis tells of
 * each. `resync`: the news of them was lost, and until they come again nothing that is loaded may be stored.
 */
export const COHERENCE_STATES = ['ttl', 'tracking', 'resync'] as const;
export type Coherence = (typeof COHERENCE_STATES)[number];

const TTL = COHERENCE_STATES.indexOf('ttl');
const RESYNC = COHERENCE_STATES.indexOf('resync');

/** The state of the whole instance, which the main thread sets and every thread reads. */
export class CoherenceState {
  readonly #words: Int32Array;

  constructor(memory: InstanceMemory) {
    this.#words = memory.words;
  }

  get current(): Coherence {
    return COHERENCE_STATES[Atomics.load(this.#words, InstanceWord.COHERENCE)];
  }

  set current(state: Coherence) {
    Atomics.store(this.#words, InstanceWord.COHERENCE, COHERENCE_STATES.indexOf(state));
  }

  /**
   * Whether those who are given a value may give it again for as long as it has time. Else they have to ask first: when
   * it is written this cache is told, or has just lost the news, and they are never told.
   */
  get allowsDownstreamCaching(): boolean {
    return Atomics.load(this.#words, InstanceWord.COHERENCE) === TTL;
  }

  /** Whether what is loaded now may be stored. */
  get canStore(): boolean {
    return Atomics.load(this.#words, InstanceWord.COHERENCE) !== RESYNC;
  }
}
