import { KeyPattern } from '../../../access/key-pattern.ts';
import { parseKeyPatterns } from '../../../config/key-pattern-syntax.ts';

/** Exceeds the length of every name; limits the cost of matching. */
const MAX_PATTERN_LENGTH = 64;

/** A case-insensitive glob pattern for the names of parameters or commands. */
export class NamePattern {
  readonly #pattern: KeyPattern | undefined;

  constructor(text: string) {
    if (text.length > MAX_PATTERN_LENGTH) return;
    const [elements] = parseKeyPatterns(text.toLowerCase().replaceAll(',', '\\,')) ?? [];
    this.#pattern = elements && new KeyPattern(elements);
  }

  matches(name: string): boolean {
    const bytes = Buffer.from(name);
    return this.#pattern?.matches(bytes, 0, bytes.length) ?? false;
  }
}
