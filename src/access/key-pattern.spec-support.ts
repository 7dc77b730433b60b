import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type PatternElement, parseKeyPatterns } from '../config/key-pattern-syntax.ts';
import { KeyPattern } from './key-pattern.ts';

/** A small alphabet, so that keys often match. */
const LETTERS = ['a', 'b', 'c', 'd', 'z', '-', ']', '[', '^', '*', '?', '\\', ',', ' '];
const letter = fc.constantFrom(...LETTERS);

const classItem = fc.oneof(
  letter.map((each) => `\\${each}`),
  fc.constantFrom('a', 'b', 'z', '*', '?', '[', '^'),
  fc.tuple(fc.constantFrom('a', 'd', 'z', '*'), fc.constantFrom('a', 'c', ']', '\\')).map((ends) => ends.join('-')),
);
const element = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'b', 'c', '-', ']', '^') },
  { weight: 3, arbitrary: fc.constant('*') },
  fc.constant('?'),
  letter.map((each) => `\\${each}`),
  fc
    .tuple(fc.constantFrom('', '^'), fc.array(classItem, { minLength: 1, maxLength: 3 }))
    // A caret at the start of a class that is not negated would negate it.
    .map(([negation, items]) => `[${negation}${items.join('').replace(/^\^/, '\\^')}]`),
);

/** Valid patterns. */
export const pattern = fc.array(element, { minLength: 1, maxLength: 8 }).map((elements) => elements.join(''));
export const key = fc.array(letter, { minLength: 1, maxLength: 8 }).map((letters) => letters.join(''));

/** Parses a text with exactly one pattern. */
export function parsed(text: string): PatternElement[] {
  const patterns = parseKeyPatterns(text);
  if (patterns?.length !== 1) throw new Error(`no single pattern: ${text}`);
  return patterns[0];
}

/** A straightforward matcher: tracks the set of elements that may match the next byte. */
function modelMatches(elements: readonly PatternElement[], bytes: Iterable<number>): boolean {
  const closure = (places: Iterable<number>): Set<number> => {
    const all = new Set(places);
    for (const place of all) if (elements[place] === 'any-bytes') all.add(place + 1);
    return all;
  };
  let places = closure([0]);
  for (const byte of bytes) {
    const next: number[] = [];
    for (const place of places) {
      const at = elements[place];
      if (at === 'any-bytes') next.push(place);
      else if (at?.has(byte)) next.push(place + 1);
    }
    places = closure(next);
  }
  return places.has(elements.length);
}

/** Matches the same keys as the model, at any position in a buffer. */
export const patternMatching = fc.property(pattern, fc.uint8Array({ maxLength: 3 }), key, (text, around, inside) => {
  const bytes = Buffer.from(inside);
  const source = Buffer.concat([around, bytes, around]);
  const [from, to] = [around.length, around.length + bytes.length];
  assert.equal(new KeyPattern(parsed(text)).matches(source, from, to), modelMatches(parsed(text), bytes));
});

/** CPU time in microseconds for a key of a few hundred bytes and a pattern of several dozen stars. */
const MAX_CPU_US = 500_000;

/** Patterns with many stars, and keys that almost match in many ways, are matched in little time. */
export const patternTime = fc.property(
  fc.array(fc.constantFrom('*a', '*', '*ab', '?', '*?', '*[ab]', '*[^b]'), { minLength: 1, maxLength: 40 }),
  fc.array(fc.constantFrom('a', 'aa', 'ab', 'aaaaaaaaaaaaaaaaaaaa'), { maxLength: 40 }),
  fc.constantFrom('', 'b', 'z', '*'),
  (parts, letters, end) => {
    const [elements, bytes] = [parsed(`${parts.join('')}${end}`), Buffer.from(letters.join(''))];
    const compiled = new KeyPattern(elements);
    const started = process.cpuUsage();
    const found = compiled.matches(bytes, 0, bytes.length);
    assert.ok(process.cpuUsage(started).user < MAX_CPU_US);
    assert.equal(found, modelMatches(elements, bytes));
  },
);

/** Any text is rejected, or consists of patterns that match without an exception. */
export const anyPatterns = fc.property(
  fc.oneof(
    fc.string({ maxLength: 30 }),
    fc.array(letter, { maxLength: 20 }).map((letters) => letters.join('')),
  ),
  fc.uint8Array({ maxLength: 30 }),
  (text, bytes) => {
    for (const elements of parseKeyPatterns(text) ?? []) {
      assert.equal(new KeyPattern(elements).matches(bytes, 0, bytes.length), modelMatches(elements, bytes));
    }
  },
);
