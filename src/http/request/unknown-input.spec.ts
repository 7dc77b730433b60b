import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { unknownInput } from './unknown-input.ts';

const FLUSH = { path: '/v1/cache', queryParameters: [] };
const PURGE = { path: '/v1/cache/:key', queryParameters: [] };
/** A route with two query parameters. */
const SEARCH = { path: '/v1/cache', queryParameters: ['prefix', 'pattern'] };

function found(
  target: string,
  headers: Readonly<Record<string, string>> = {},
  known: Parameters<typeof unknownInput>[1] = FLUSH,
  method = 'DELETE',
): string | undefined {
  return unknownInput({ method, target, headers }, known);
}

describe('unknownInput', () => {
  it.each(['/v1/cache', 'http://proxy:8080/v1/cache'])('accepts %s', (target) => {
    expect(found(target)).toBeUndefined();
    expect(found(target, { 'content-length': '0', 'content-type': 'application/json', accept: '*/*' })).toBeUndefined();
  });

  it.each([
    ['/v1/cache?prefix=user:', '"prefix"'],
    ['/v1/cache?%70refix=user:', '"prefix"'],
    ['/v1/cache?a&b', '"a"'],
    ['/v1/cache?=', '""'],
    ['/v1/cache?', 'empty'],
    ['/v1/cache?&', 'empty'],
    ['http://proxy/v1/cache?key=a', '"key"'],
    [`/v1/cache?${'n'.repeat(5000)}`, `"${'n'.repeat(64)}"`],
  ])('rejects the query of %s', (target, named) => {
    expect(found(target)).toContain(named);
  });

  it.each(['/v1/cache#prefix', '/v1\\cache#', '/v1/cache\u00a0', '/v1/cache;prefix=a', '/v1/cache/', '/V1/cache'])(
    'rejects what a router may accept as the path: %j',
    (target) => {
      expect(found(target)).toBe('The path is not percent-encoded.');
    },
  );

  it.each([
    { 'content-length': '2' },
    { 'content-length': 'x' },
    { 'transfer-encoding': 'chunked' },
    { 'content-length': '0', 'transfer-encoding': 'chunked' },
  ])('rejects a body, announced by %j', (headers) => {
    expect(found('/v1/cache', headers as Record<string, string>)).toBe('No body is expected.');
  });

  it.each(['x-http-method-override', 'x-http-method', 'x-method-override'])('rejects a method override: %s', (name) => {
    for (const method of ['GET', 'DELETE']) {
      expect(found('/v1/cache', { [name]: 'DELETE' }, FLUSH, method)).toContain(name);
    }
  });

  it.each(['if-match', 'if-none-match'])('rejects the condition %s of a change, not of a read', (name) => {
    expect(found('/v1/cache', { [name]: '"etag"' })).toContain(name);
    expect(found('/v1/cache', { [name]: '"etag"' }, FLUSH, 'GET')).toBeUndefined();
  });

  it('accepts any bytes in the key of a route, but nothing after a ?', () => {
    for (const key of ['a', 'a/b', 'a;b=c', 'a&b', '%3F', '%23', '\u00ff']) {
      expect(found(`/v1/cache/${key}`, {}, PURGE)).toBeUndefined();
      expect(found(`/v1/cache/${key}?x=1`, {}, PURGE)).toContain('"x"');
      expect(found(`/v1/cache/${key}#x`, {}, PURGE)).toBeDefined();
    }
  });

  it('rejects a known parameter only if it is repeated', () => {
    expect(found('/v1/cache?prefix=a', {}, SEARCH)).toBeUndefined();
    expect(found('/v1/cache?prefix=a&pattern=b', {}, SEARCH)).toBeUndefined();
    expect(found('/v1/cache?prefix=a&prefix=b', {}, SEARCH)).toContain('"prefix" is given twice');
    expect(found('/v1/cache?prefix=a&x', {}, SEARCH)).toContain('"x" is unknown here; known: prefix, pattern.');
  });

  it('rejects every query of a route without parameters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (query) => {
        expect(found(`/v1/cache?${query}`)).toBeDefined();
      }),
    );
  });
});
