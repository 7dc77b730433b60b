import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { etagOf, formatEtag } from '../../cache/shared-lru/etag.ts';
import { TICK_MS } from '../../cache/shared-lru/clock.ts';
import type { Forward } from '../../cache/shared-lru/cache-types.ts';
import type { DirectedOutcome, Origin, ReadOutcome } from '../../cache/read-through/read-outcome.ts';
import { type Conditions, UNCONDITIONAL } from '../response/conditional.ts';
import { type HttpResponse } from '../response/http-response.ts';
import { KEY_NOT_FOUND, VALUE_TOO_LARGE, keyResponse } from './key-response.ts';

const value = Buffer.from('hello from redis');
const etag = etagOf(value);
const policy = {
  contentType: 'text/plain',
  sandbox: true,
  notFound: KEY_NOT_FOUND,
  tooLarge: VALUE_TOO_LARGE,
  private: false,
  revalidate: false,
  honoursDirectives: true,
};

const hit: ReadOutcome = { kind: 'hit', value, etag, freshness: { ageMs: 3999, lifetimeMs: 60_000 } };
const stale = { kind: 'stale', value, etag, freshness: { ageMs: 62_001, lifetimeMs: 60_000 } } as const;
const loaded = (origin: Origin, forward: Forward = 'uri-miss'): ReadOutcome => ({
  kind: 'value',
  value,
  etag,
  freshness: { ageMs: 0, lifetimeMs: 1999 },
  origin,
  forward,
});

function headersOf(response: HttpResponse): Record<string, string> {
  return Object.fromEntries(
    response.headers.flatMap((name, i) => (i % 2 === 0 ? [[name, response.headers[i + 1]]] : [])),
  );
}

function problemOf(response: HttpResponse): { status: number; code: string } {
  return JSON.parse(String(response.body)) as { status: number; code: string };
}

describe('keyResponse', () => {
  it('returns the value of a hit with its age and its lifetime', () => {
    const response = keyResponse(hit, UNCONDITIONAL, policy);
    expect(response.status).toBe(200);
    expect(response.body).toBe(value);
    expect(headersOf(response)).toEqual({
      ETag: formatEtag(etag),
      Age: '4',
      'Cache-Control': 'max-age=60',
      'Cache-Status': 'redis-http-cache-proxy; hit; ttl=56',
      'Content-Type': 'text/plain',
      'Content-Length': '16',
      'Accept-Ranges': 'bytes',
      'Content-Security-Policy': "default-src 'none'; sandbox",
    });
  });

  it('never lets max-age minus Age exceed the remaining lifetime', () => {
    const times = fc.nat({ max: 2 ** 40 }).map((ticks) => ticks * TICK_MS);
    fc.assert(
      fc.property(times, times, (ageMs, leftMs) => {
        const cached: ReadOutcome = { ...hit, freshness: { ageMs, lifetimeMs: ageMs + leftMs } };
        const { Age, 'Cache-Control': control } = headersOf(keyResponse(cached, UNCONDITIONAL, policy));
        const maxAge = Number(/^max-age=(\d+)$/.exec(control)?.[1]);
        expect((maxAge - Number(Age)) * 1000).toBeLessThanOrEqual(cached.freshness.lifetimeMs - ageMs);
      }),
    );
  });

  it('requires revalidation by other caches while tracking is active', () => {
    const headers = headersOf(keyResponse(hit, UNCONDITIONAL, { ...policy, revalidate: true }));
    expect(headers).toMatchObject({ Age: '4', 'Cache-Control': 'no-cache' });
    const withToken = headersOf(keyResponse(hit, UNCONDITIONAL, { ...policy, private: true, revalidate: true }));
    expect(withToken).toMatchObject({ 'Cache-Control': 'private, no-cache' });
  });

  it('sends no sandbox policy with a content type that browsers do not render', () => {
    const { headers } = keyResponse(hit, UNCONDITIONAL, { ...policy, sandbox: false });
    expect(headers).not.toContain('Content-Security-Policy');
  });

  it.each([
    ['stored', 'redis-http-cache-proxy; fwd=uri-miss; stored'],
    ['not-stored', 'redis-http-cache-proxy; fwd=uri-miss'],
    ['collapsed', 'redis-http-cache-proxy; fwd=uri-miss; collapsed'],
  ] as const)('describes a miss that was %s as %s', (origin, status) => {
    const headers = headersOf(keyResponse(loaded(origin), UNCONDITIONAL, policy));
    expect(headers).toMatchObject({ Age: '0', 'Cache-Control': 'max-age=1', 'Cache-Status': status });
  });

  it.each([
    ['stale', 'stored', 'redis-http-cache-proxy; fwd=stale; stored'],
    ['stale', 'collapsed', 'redis-http-cache-proxy; fwd=stale; collapsed'],
    ['request', 'stored', 'redis-http-cache-proxy; fwd=request; stored'],
    ['request', 'not-stored', 'redis-http-cache-proxy; fwd=request'],
  ] as const)('states in fwd why the cached value was not used: %s, %s', (forward, origin, status) => {
    expect(headersOf(keyResponse(loaded(origin, forward), UNCONDITIONAL, policy))['Cache-Status']).toBe(status);
  });

  it('states for how long a stale value has been expired', () => {
    const outcome = { ...stale, failure: 'timeout', origin: 'not-stored', forward: 'stale' } as const;
    const response = keyResponse(outcome, UNCONDITIONAL, policy);
    expect(response).toMatchObject({ status: 200, body: value });
    expect(headersOf(response)).toMatchObject({
      ETag: formatEtag(etag),
      Age: '63',
      'Cache-Control': 'max-age=60',
      'Cache-Status': 'redis-http-cache-proxy; hit; ttl=-3; detail=stale-if-error',
    });
    const unchanged = keyResponse(outcome, { ...UNCONDITIONAL, ifNoneMatch: formatEtag(etag) }, policy);
    expect(unchanged).toMatchObject({ status: 304, body: undefined });
    expect(headersOf(unchanged)['Cache-Status']).toContain('stale-if-error');
  });

  it('returns 304 without a body if If-None-Match names the value', () => {
    const response = keyResponse(hit, { ...UNCONDITIONAL, ifNoneMatch: formatEtag(etag) }, policy);
    expect(response).toMatchObject({ status: 304, body: undefined });
    expect(Object.keys(headersOf(response))).toEqual(['ETag', 'Age', 'Cache-Control', 'Cache-Status']);
  });

  describe('with Range', () => {
    const tag = formatEtag(etag);
    const ask = (range: string, more: Partial<Conditions> = {}): HttpResponse =>
      keyResponse(hit, { ...UNCONDITIONAL, range, ...more }, policy);

    it('returns 206 with the part, its place, and the headers of the whole', () => {
      const { body, ...response } = ask('bytes=6-9');
      expect(String(body)).toBe('from');
      expect(response.status).toBe(206);
      expect(headersOf({ ...response, body })).toEqual({
        ...headersOf(keyResponse(hit, UNCONDITIONAL, policy)),
        'Content-Length': '4',
        'Content-Range': 'bytes 6-9/16',
      });
    });

    it('returns 416 with the length if the value ends before the range', () => {
      const response = ask('bytes=16-');
      expect(response.status).toBe(416);
      expect(problemOf(response)).toMatchObject({ status: 416, code: 'range-not-satisfiable' });
      expect(headersOf(response)).toMatchObject({
        'Content-Range': 'bytes */16',
        'Cache-Control': 'no-store',
        'Cache-Status': 'redis-http-cache-proxy; hit; ttl=56',
      });
    });

    it.each(['bytes=0-1,3-4', 'items=0-1', 'bytes=4-2', 'bytes'])('returns the whole for %s', (range) => {
      expect(ask(range)).toEqual(keyResponse(hit, UNCONDITIONAL, policy));
    });

    it.each([
      ['its ETag', tag, 206],
      ['another ETag', '"other"', 200],
      ['a weak ETag', `W/${tag}`, 200],
      ['a list with its ETag', `"other", ${tag}`, 200],
      ['a date', 'Fri, 31 Dec 9999 23:59:59 GMT', 200],
    ])('and If-Range with %s', (_, ifRange, status) => {
      expect(ask('bytes=0-1', { ifRange }).status).toBe(status);
      expect(ask('bytes=99-', { ifRange }).status).toBe(status === 206 ? 416 : 200);
    });

    it('returns 304 if If-None-Match names the value', () => {
      expect(ask('bytes=0-1', { ifNoneMatch: tag }).status).toBe(304);
      expect(ask('bytes=99-', { ifNoneMatch: tag }).status).toBe(304);
      expect(ask('bytes=0-1', { ifNoneMatch: '"other"' }).status).toBe(206);
    });

    it('returns 204 if there is no content', () => {
      const response = keyResponse(
        hit,
        { ...UNCONDITIONAL, range: 'bytes=0-1' },
        { ...policy, contentType: undefined },
      );
      expect([response.status, headersOf(response)['Accept-Ranges']]).toEqual([204, undefined]);
    });

    it('refers to the value for its larger part, and copies the smaller one, so that the value is not kept', () => {
      const large = Buffer.alloc(100_000);
      const memoryFor = (range: string) =>
        keyResponse({ ...hit, value: large }, { ...UNCONDITIONAL, range }, policy).body?.buffer;
      expect(memoryFor('bytes=40000-')).toBe(large.buffer);
      expect(memoryFor('bytes=60000-')?.byteLength).toBe(40_000);
    });
  });

  it('returns 200 for an empty string', () => {
    const response = keyResponse({ ...hit, value: Buffer.alloc(0) }, UNCONDITIONAL, policy);
    expect(response.status).toBe(200);
    expect(headersOf(response)['Content-Length']).toBe('0');
  });

  it.each([
    [{ kind: 'missing', freshness: { ageMs: 1, lifetimeMs: 5000 } }, 404, 'key-not-found', 'hit; ttl=4'],
    [
      { kind: 'absent', freshness: { ageMs: 0, lifetimeMs: 0 }, origin: 'not-stored', forward: 'uri-miss' },
      404,
      'key-not-found',
      'fwd=uri-miss',
    ],
    [{ kind: 'wrong-type', origin: 'collapsed', forward: 'uri-miss' }, 409, 'wrong-type', 'fwd=uri-miss; collapsed'],
    [{ kind: 'value-too-large', origin: 'not-stored', forward: 'uri-miss' }, 502, 'value-too-large', 'fwd=uri-miss'],
    [{ kind: 'overloaded', origin: 'collapsed', forward: 'uri-miss' }, 503, 'overloaded', 'fwd=uri-miss; collapsed'],
    [{ kind: 'timeout', origin: 'not-stored', forward: 'stale' }, 504, 'redis-timeout', 'fwd=stale'],
    [{ kind: 'unavailable', origin: 'not-stored', forward: 'request' }, 503, 'redis-unavailable', 'fwd=request'],
    [{ kind: 'not-cached' }, 504, 'not-cached', 'detail=only-if-cached'],
  ] satisfies [DirectedOutcome, number, string, string][])(
    'returns a problem for %j',
    (outcome, status, code, cacheStatus) => {
      const response = keyResponse(outcome, { ifNoneMatch: '*', range: 'bytes=0-0', ifRange: undefined }, policy);
      expect(response.status).toBe(status);
      expect(problemOf(response)).toMatchObject({ status, code });
      expect(headersOf(response)).toMatchObject({
        'Content-Type': 'application/problem+json',
        'Cache-Control': 'no-store',
        'Cache-Status': `redis-http-cache-proxy; ${cacheStatus}`,
      });
    },
  );

  it('sends Retry-After while Redis is unavailable', () => {
    const response = keyResponse(
      { kind: 'unavailable', origin: 'not-stored', forward: 'uri-miss' },
      UNCONDITIONAL,
      policy,
    );
    expect(headersOf(response)['Retry-After']).toBe('1');
  });
});
