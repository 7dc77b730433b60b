import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { etagOf, formatEtag } from './etag.ts';

describe('An etag', () => {
  it('is the first 96 bits of the SHA-256 of the value, as a quoted string', () => {
    const value = Buffer.from([0, 1, 2, 0xff]);
    const digest = createHash('sha256').update(value).digest('hex');
    expect(formatEtag(etagOf(value))).toBe(`"${digest.slice(0, 24)}"`);
  });

  it('exists for the empty value', () => {
    expect(formatEtag(etagOf(new Uint8Array(0)))).toBe('"e3b0c44298fc1c149afbf4c8"');
  });

  it('fits in 32-bit integers, in which it is stored', () => {
    for (const word of etagOf(Buffer.from('any'))) expect(word).toBe(word | 0);
  });

  it('keeps leading zeroes of a word', () => {
    expect(formatEtag([0, 0xabc, -1])).toBe('"0000000000000abcffffffff"');
  });
});
