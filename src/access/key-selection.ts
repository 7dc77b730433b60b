import { parseKeyPattern } from '../config/key-pattern-syntax.ts';
import { MAX_KEY_BYTES } from './access.ts';
import { KeyPattern } from './key-pattern.ts';

/** Longest glob pattern, in bytes, by which keys can be selected: it limits how long it takes to match a key. */
export const MAX_PATTERN_BYTES = 1024;

/** Keys that begin with a prefix or match a pattern. */
export interface SelectedKeys {
  /** Maximum bytes of keys to match at a time. */
  readonly keyBytesPerStep: number;
  /** Whether the key, bytes [from, to) of source, is one of them. */
  matches(source: Uint8Array, from: number, to: number): boolean;
}

/** `invalid`: an open `[`, an empty class, or a `\` at the end. */
export type SelectionProblem = 'empty' | 'too-long' | 'invalid';

const MAX_KEY_BYTES_PER_STEP = 16 * 1024;
/** Steps of the matcher, of which a byte of a key takes up to one for each element: about a millisecond. */
const MAX_MATCHER_STEPS = 2 ** 19;

/** Selects the keys that begin with a prefix. */
export function keysWithPrefix(prefix: Buffer): SelectedKeys | SelectionProblem {
  if (prefix.length === 0) return 'empty';
  if (prefix.length > MAX_KEY_BYTES) return 'too-long';
  const matches = (source: Uint8Array, from: number, to: number): boolean => {
    if (to - from < prefix.length) return false;
    for (let i = 0; i < prefix.length; i++) if (source[from + i] !== prefix[i]) return false;
    return true;
  };
  return { keyBytesPerStep: MAX_KEY_BYTES_PER_STEP, matches };
}

/** Selects the keys that match a glob pattern, in the syntax of {@link parseKeyPattern}. */
export function keysMatching(pattern: Buffer): SelectedKeys | SelectionProblem {
  if (pattern.length === 0) return 'empty';
  if (pattern.length > MAX_PATTERN_BYTES) return 'too-long';
  const elements = parseKeyPattern(pattern);
  if (elements === undefined) return 'invalid';
  const compiled = new KeyPattern(elements);
  return {
    keyBytesPerStep: Math.min(MAX_KEY_BYTES_PER_STEP, Math.floor(MAX_MATCHER_STEPS / elements.length)),
    matches: (source, from, to) => compiled.matches(source, from, to),
  };
}
