import { type InstanceMemory, InstanceWord } from './instance-memory.ts';

/**
 * How entries are kept coherent with Redis. `ttl`: they expire only. `tracking`: Redis also sends an invalidation message for
 * each write. `resync`: the invalidation stream was lost, and nothing is stored until it is re-established.
 */
export const COHERENCE_STATES = ['ttl', 'tracking', 'resync'] as const;
export type CoherenceMode = (typeof COHERENCE_STATES)[number];

const TTL = COHERENCE_STATES.indexOf('ttl');
const RESYNC = COHERENCE_STATES.indexOf('resync');

/** Coherence mode of the instance, set by the main thread and read by every thread. */
export class CoherenceState {
  readonly #words: Int32Array;

  constructor(memory: InstanceMemory) {
    this.#words = memory.words;
  }

  get current(): CoherenceMode {
    return COHERENCE_STATES[Atomics.load(this.#words, InstanceWord.COHERENCE)];
  }

  set current(state: CoherenceMode) {
    Atomics.store(this.#words, InstanceWord.COHERENCE, COHERENCE_STATES.indexOf(state));
  }

  /**
   * Whether downstream caches may reuse a response until it expires. With tracking they must revalidate, because invalidation
   * messages reach this cache only.
   */
  get allowsDownstreamCaching(): boolean {
    return Atomics.load(this.#words, InstanceWord.COHERENCE) === TTL;
  }

  /** Whether loaded values may be stored. */
  get canStore(): boolean {
    return Atomics.load(this.#words, InstanceWord.COHERENCE) !== RESYNC;
  }
}
