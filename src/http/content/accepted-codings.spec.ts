import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CONTENT_CODINGS, type ContentCoding } from '../../config/settings.ts';
import { acceptedCodings } from './accepted-codings.ts';

type Offer = readonly [coding: string, q: number];

/** The quality of a coding, as RFC 9110, section 12.5.3, states it; of several for one coding the highest. */
function qualityOf(offers: readonly Offer[], coding: string): number {
  const own = offers.filter(([name]) => name === coding).map(([, q]) => q);
  const any = offers.filter(([name]) => name === '*').map(([, q]) => q);
  if (own.length > 0) return Math.max(...own);
  if (any.length > 0) return Math.max(...any);
  // Content without a coding is acceptable unless it is excluded, but no better than what the client names.
  return coding === 'identity' ? Math.min(1, ...offers.map(([, q]) => q).filter((q) => q > 0)) : 0;
}

const q = fc.constantFrom(0, 0.001, 0.5, 0.999, 1);
const offers = fc.array(fc.tuple(fc.constantFrom(...CONTENT_CODINGS, 'identity', '*', 'deflate'), q), { maxLength: 5 });
const preference = fc.subarray([...CONTENT_CODINGS], { minLength: 1 }).chain((codings) => fc.shuffledSubarray(codings));

describe('acceptedCodings', () => {
  it('selects what a plain reading of the RFC selects', () => {
    fc.assert(
      fc.property(offers, preference, fc.func(fc.boolean()), (all, codings, omitsQ) => {
        const header = all.map(([name, quality]) => (quality === 1 && omitsQ(name) ? name : `${name};q=${quality}`));
        const { accepted, compression } = acceptedCodings(header.join(', '), codings);
        const identity = qualityOf(all, 'identity');
        const isAccepted = (coding: ContentCoding) => qualityOf(all, coding) > 0 && qualityOf(all, coding) >= identity;
        expect([...accepted].sort()).toEqual(CONTENT_CODINGS.filter(isAccepted).sort());
        const best = Math.max(...codings.filter(isAccepted).map((coding) => qualityOf(all, coding)));
        expect(compression).toBe(codings.filter(isAccepted).find((coding) => qualityOf(all, coding) === best));
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    [undefined, undefined],
    ['', undefined],
    ['gzip', 'gzip'],
    ['gzip, br', 'br'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['gzip;q=1.0, br;q=0.9', 'gzip'],
    ['gzip, deflate, br, zstd', 'br'],
    ['*', 'br'],
    ['br;q=0, *', 'gzip'],
    ['identity', undefined],
    ['identity, gzip;q=0.5', undefined],
    ['gzip;q=0', undefined],
    ['gzip ; q=0.5 , identity;q=0', 'gzip'],
    ['deflate', undefined],
    ['gzip;q=x', undefined],
  ])('of %j selects %s from br and gzip', (header, coding) => {
    expect(acceptedCodings(header, ['br', 'gzip']).compression).toBe(coding);
  });

  it('ignores a header of more than 1 KiB, which would take long to parse', () => {
    const header = `gzip${' '.repeat(1020)}`;
    expect(acceptedCodings(header, ['gzip']).compression).toBe('gzip');
    const { accepted, compression } = acceptedCodings(`${header} `, ['gzip']);
    expect([...accepted, compression]).toEqual([undefined]);
  });

  it('accepts any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        acceptedCodings(text, [...CONTENT_CODINGS]);
      }),
    );
  });
});
