import type { Access } from '../../access/access.ts';
import type { CoherenceState } from '../../instance/coherence-state.ts';
import type { Settings } from '../../config/settings.ts';
import type { KeyAnswerPolicy } from './key-response.ts';

/** What all answers have in common at the moment at which it is asked. */
export class CachingPolicy implements KeyAnswerPolicy {
  readonly contentType: string;
  readonly private: boolean;
  readonly #coherence: CoherenceState;

  constructor({ http }: Settings, access: Access, coherence: CoherenceState) {
    this.contentType = http.contentType;
    this.private = access.tokenRequired;
    this.#coherence = coherence;
  }

  get revalidate(): boolean {
    return !this.#coherence.allowsDownstreamCaching;
  }
}
