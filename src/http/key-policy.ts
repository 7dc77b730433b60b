import type { Access } from '../access/access.ts';
import type { CoherenceState } from '../cache/coherence-state.ts';
import type { Settings } from '../config/settings.ts';
import type { KeyAnswerPolicy } from './key-answer.ts';

/** What all answers have in common at the moment at which it is asked. */
export class KeyPolicy implements KeyAnswerPolicy {
  readonly contentType: string;
  readonly private: boolean;
  readonly #coherence: CoherenceState;

  constructor({ http }: Settings, access: Access, coherence: CoherenceState) {
    this.contentType = http.contentType;
    this.private = access.tokenRequired;
    this.#coherence = coherence;
  }

  get revalidate(): boolean {
    return !this.#coherence.othersMayKeep;
  }
}
