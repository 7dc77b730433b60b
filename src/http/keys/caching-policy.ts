import type { Access } from '../../access/access.ts';
import type { CoherenceState } from '../../instance/coherence-state.ts';
import type { Settings } from '../../config/settings.ts';
import type { KeyResponsePolicy } from './key-response.ts';

/** The policy of all responses with values, from the settings and the current coherence mode. */
export class CachingPolicy implements KeyResponsePolicy {
  readonly contentType: string;
  readonly private: boolean;
  readonly #coherence: CoherenceState;

  constructor(http: Settings['http'], access: Access, coherence: CoherenceState) {
    this.contentType = http.contentType;
    this.private = access.tokenRequired;
    this.#coherence = coherence;
  }

  get revalidate(): boolean {
    return !this.#coherence.allowsDownstreamCaching;
  }
}
