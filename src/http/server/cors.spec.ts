import { describe, expect, it } from '@jest/globals';
import { Cors } from './cors.ts';

const EXPOSED = ['Access-Control-Expose-Headers', 'ETag, Age, Cache-Status, Accept-Ranges, Content-Range, Retry-After'];

describe('Cors', () => {
  it('adds no header if no origin is allowed', () => {
    const cors = new Cors([]);
    expect([cors.on, cors.byOrigin, cors.headersFor(undefined), cors.headersFor('https://a')]).toEqual([
      false,
      false,
      [],
      [],
    ]);
  });

  it('adds the same headers for all requests if every origin is allowed', () => {
    const cors = new Cors(['*']);
    const all = ['Access-Control-Allow-Origin', '*', ...EXPOSED];
    expect([cors.on, cors.byOrigin, cors.headersFor(undefined), cors.headersFor('https://a')]).toEqual([
      true,
      false,
      all,
      all,
    ]);
  });

  it('adds Vary to every response, and allows the listed origins only, if some are allowed', () => {
    const cors = new Cors(['https://a', 'http://b:8080']);
    expect([cors.on, cors.byOrigin]).toEqual([true, true]);
    for (const origin of [undefined, 'https://c', 'https://A', 'https://a:443', 'null', '', '*', 'https://a.c']) {
      expect([origin, cors.headersFor(origin)]).toEqual([origin, ['Vary', 'Origin']]);
    }
    for (const origin of ['https://a', 'http://b:8080']) {
      expect(cors.headersFor(origin)).toEqual(['Vary', 'Origin', 'Access-Control-Allow-Origin', origin, ...EXPOSED]);
    }
  });
});
