import { type KeyRule, parseKeyPatterns } from '../config/key-pattern-syntax.ts';
import { KeyPattern } from './key-pattern.ts';

/** Values by key pattern; the first pattern that matches a key applies. */
export class KeyRules {
  readonly #patterns: readonly KeyPattern[];
  /** The values, in the order of their patterns. */
  readonly values: readonly string[];

  constructor(rules: readonly KeyRule[]) {
    this.#patterns = rules
      .flatMap(({ pattern }) => parseKeyPatterns(pattern) ?? [])
      .map((each) => new KeyPattern(each));
    this.values = rules.map(({ value }) => value);
    if (this.#patterns.length !== rules.length) throw new Error('invalid key patterns');
  }

  /** Returns the index of the value for the key, bytes [from, to) of source; -1 if no pattern matches. Does not allocate. */
  find(source: Uint8Array, from = 0, to = source.length): number {
    for (let i = 0; i < this.#patterns.length; i++) if (this.#patterns[i].matches(source, from, to)) return i;
    return -1;
  }
}
