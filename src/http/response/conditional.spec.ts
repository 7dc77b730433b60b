import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { etagMatches } from './conditional.ts';

const ETAG = '"7f16c2772a51b6138ccc3aff"';

describe('etagMatches', () => {
  it.each([
    ETAG,
    `W/${ETAG}`,
    '*',
    ' * ',
    `"other", ${ETAG}`,
    `"other",${ETAG}`,
    `${ETAG}, "other"`,
    `W/"a,b" , W/${ETAG}`,
    `,, ${ETAG}`,
    `"", ${ETAG}`,
  ])('matches %s', (field) => {
    expect(etagMatches(field, ETAG)).toBe(true);
  });

  it.each([
    '',
    '"other"',
    ETAG.slice(1, -1),
    ETAG.slice(0, -1),
    `x${ETAG}`,
    `"${ETAG.slice(1, -1)}x"`,
    '"*"',
    `w/${ETAG}`,
  ])('does not match %s', (field) => {
    expect(etagMatches(field, ETAG)).toBe(false);
  });

  it('finds the tag at any position of a list, and only if it is in the list', () => {
    const other = fc.record({
      tag: fc.stringMatching(/^[\x21\x23-\x7e]{0,20}$/).map((opaque) => `"${opaque}"`),
      weak: fc.boolean(),
      gap: fc.stringMatching(/^ {0,3}$/),
    });
    fc.assert(
      fc.property(fc.array(other), fc.array(other), fc.boolean(), (before, after, present) => {
        const parts = [...before, ...(present ? [{ tag: ETAG, weak: false, gap: '' }] : []), ...after];
        const field = parts.map(({ tag, weak, gap }) => `${gap}${weak ? 'W/' : ''}${tag}${gap}`).join(',');
        expect(etagMatches(field, ETAG)).toBe(present);
      }),
    );
  });
});
