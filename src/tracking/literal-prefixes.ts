import { Buffer } from 'node:buffer';
import { parseKeyPatterns } from '../config/environment/key-pattern-syntax.ts';

/**
 * Returns the literal prefixes of the patterns in KEY_ALLOWLIST, none a prefix of another, as CLIENT TRACKING requires; empty
 * if a pattern may match any key.
 */
export function literalPrefixes(keyPatterns: string): Buffer[] {
  const all = (parseKeyPatterns(keyPatterns) ?? [[]]).map((pattern) => {
    const end = pattern.findIndex((element) => element === 'any-bytes' || element.size !== 1);
    const literal = end === -1 ? pattern : pattern.slice(0, end);
    return Buffer.from(literal.flatMap((element) => (element === 'any-bytes' ? [] : [...element])));
  });
  all.sort((a, b) => Buffer.compare(a, b));
  if (all[0].length === 0) return [];
  const prefixes: Buffer[] = [];
  for (const prefix of all) {
    const last = prefixes.at(-1);
    if (last === undefined || !prefix.subarray(0, last.length).equals(last)) prefixes.push(prefix);
  }
  return prefixes;
}
