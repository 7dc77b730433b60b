import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { KEYS_PATH, keyFromTarget, percentDecode } from './key-path.ts';

/** Decodes Latin-1 text in a straightforward way; undefined if a `%` is not followed by two hexadecimal digits. */
function modelDecode(text: string): Buffer | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) return undefined;
  const decoded = text.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(decoded, 'latin1');
}

const byte = fc.integer({ min: 0, max: 255 });
/** Mostly escapes, complete or broken. */
const encoded = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: byte.map((each) => `%${each.toString(16).padStart(2, '0')}`) },
      byte.map((each) => `%${each.toString(16).padStart(2, '0').toUpperCase()}`),
      fc.constantFrom('%', '%%', '%4', '%g0', '%0G', '%/0', '%:0', '%@0', '%`0', '4', 'a', 'F', '+', ' '),
      byte.map((each) => String.fromCharCode(each)),
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

/** Decodes as the model and decodeURIComponent do, at any position, in place or not. */
export const percentDecoding = fc.property(encoded, fc.nat(5), (text, before) => {
  const expected = modelDecode(text);
  const source = Buffer.from(`${'%'.repeat(before)}${text}41`, 'latin1');
  const target = Buffer.alloc(source.length, 0xee);
  const end = before + text.length;
  const length = percentDecode(source, before, end, target);
  assert.equal(length, expected?.length ?? -1);
  if (expected !== undefined) assert.deepEqual(target.subarray(0, length), expected);
  assert.equal(percentDecode(source, before, end, source), length);
  if (expected !== undefined) assert.deepEqual(source.subarray(0, length), expected);
  if (/^[\0-\x7f]*$/.test(text)) {
    if (expected === undefined) assert.throws(() => decodeURIComponent(text), URIError);
    else if (isUtf8(expected)) assert.equal(decodeURIComponent(text), expected.toString());
  }
});

/** The key in a target is the decoded text before the query. */
export const keyInTarget = fc.property(encoded, fc.constantFrom('', '?', '?%zz', '?a=b?c'), (text, query) => {
  const path = text.split('?')[0];
  const found = keyFromTarget(`${KEYS_PATH}${text}${query}`, KEYS_PATH);
  if (path === '') assert.equal(found, 'empty');
  else assert.deepEqual(found, modelDecode(path) ?? 'bad-encoding');
});
