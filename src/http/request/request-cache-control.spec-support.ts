import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ReadDirectives } from '../../cache/read-through/read-through.ts';
import { readDirectives } from './request-cache-control.ts';

/** The text of a directive and its meaning. */
interface Directive {
  readonly text: string;
  readonly maxAgeMs?: number;
  readonly onlyIfCached?: boolean;
}

const anyCase = (text: string): fc.Arbitrary<string> =>
  fc.func(fc.boolean()).map((isUpper) => [...text].map((each, i) => (isUpper(i) ? each.toUpperCase() : each)).join(''));

const quoted = fc
  .array(fc.constantFrom('a', ',', ' ', '=', 'no-cache', 'max-age=1', '\\"', '\\\\'), { maxLength: 6 })
  .map((parts) => `"${parts.join('')}"`);
const directive: fc.Arbitrary<Directive> = fc.oneof(
  anyCase('no-cache').map((text) => ({ text, maxAgeMs: 0 })),
  anyCase('only-if-cached').map((text) => ({ text, onlyIfCached: true })),
  fc
    .tuple(anyCase('max-age'), fc.nat(100_000), fc.constantFrom('', '"'), fc.constantFrom('', '0', '000'))
    .map(([name, seconds, quote, zeros]) => ({
      text: `${name}=${quote}${zeros}${seconds}${quote}`,
      maxAgeMs: seconds * 1000,
    })),
  fc
    .tuple(anyCase('max-age'), fc.constantFrom('', '=', '=-1', '=x', '=1.5', '=" 1"', '=""', '=1x'))
    .map(([name, end]) => ({ text: name + end })),
  fc
    .constantFrom('no-store', 'max-stale', 'max-stale=9', 'min-fresh=1', 'no-caches', 'xmax-age=1', 'max-agex=1')
    .map((text) => ({ text })),
  quoted.map((text) => ({ text: `ext=${text}` })),
);
const separator = fc.constantFrom(',', ', ', ' ,', ',,', '\t,\t', ' , , ');

/** Parses every directive of a field, whatever its spelling and its separators. */
export const directiveList = fc.property(fc.array(fc.tuple(directive, separator), { maxLength: 6 }), (parts) => {
  let field = '';
  let expected: ReadDirectives | undefined;
  for (const [{ text, maxAgeMs = Infinity, onlyIfCached = false }, between] of parts) {
    field += text + between;
    if (maxAgeMs === Infinity && !onlyIfCached) continue;
    expected = {
      maxAgeMs: Math.min(maxAgeMs, expected?.maxAgeMs ?? Infinity),
      onlyIfCached: onlyIfCached || (expected?.onlyIfCached ?? false),
    };
  }
  assert.deepEqual(readDirectives(field, undefined), expected);
});

/** CPU time in microseconds for the longest field. */
const MAX_CPU_US = 500_000;

/** Parses any field without an exception, in little time. */
export const anyDirectives = fc.property(
  fc.array(fc.constantFrom('no-cache', 'max-age', '=', '"', '\\', ',', ' ', '\t', '1', 'a', '\xff', '\0'), {
    maxLength: 40,
  }),
  fc.integer({ min: 1, max: 50 }),
  (parts, times) => {
    const field = parts.join('').repeat(times);
    const started = process.cpuUsage();
    const { maxAgeMs = 0 } = readDirectives(field, undefined) ?? {};
    readDirectives(undefined, field);
    assert.ok(maxAgeMs >= 0 && process.cpuUsage(started).user < MAX_CPU_US);
  },
);
