import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { etagOf, formatEtag } from '../../cache/shared-lru/etag.ts';
import { TICK_MS } from '../../cache/shared-lru/clock.ts';
import type { Forward } from '../../cache/shared-lru/cache-types.ts';
import type { DirectedOutcome, Origin, ReadOutcome } from '../../cache/read-through/read-outcome.ts';
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
    const response = keyResponse(hit, undefined, policy);
    expect(response.status).toBe(200);
    expect(response.body).toBe(value);
    expect(headersOf(response)).toEqual({
      ETag: formatEtag(etag),
      Age: '4',
      'Cache-Control': 'max-age=60',
      'Cache-Status': 'redis-http-cache-proxy; hit; ttl=56',
      'Content-Type': 'text/plain',
      'Content-Length': '16',
      'Content-Security-Policy': "default-src 'none'; sandbox",
    });
  });

  it('never lets max-age minus Age exceed the remaining lifetime', () => {
    const times = fc.nat({ max: 2 ** 40 }).map((ticks) => ticks * TICK_MS);
    fc.assert(
      fc.property(times, times, (ageMs, leftMs) => {
        const cached: ReadOutcome = { ...hit, freshness: { ageMs, lifetimeMs: ageMs + leftMs } };
        const { Age, 'Cache-Control': control } = headersOf(keyResponse(cached, undefined, policy));
        const maxAge = Number(/^max-age=(\d+)$/.exec(control)?.[1]);
        expect((maxAge - Number(Age)) * 1000).toBeLessThanOrEqual(cached.freshness.lifetimeMs - ageMs);
      }),
    );
  });

  it('requires revalidation by other caches while tracking is active', () => {
    const headers = headersOf(keyResponse(hit, undefined, { ...policy, revalidate: true }));
    expect(headers).toMatchObject({ Age: '4', 'Cache-Control': 'no-cache' });
    const withToken = headersOf(keyResponse(hit, undefined, { ...policy, private: true, revalidate: true }));
    expect(withToken).toMatchObject({ 'Cache-Control': 'private, no-cache' });
  });

  it('sends no sandbox policy with a content type that browsers do not render', () => {
    const { headers } = keyResponse(hit, undefined, { ...policy, sandbox: false });
    expect(headers).not.toContain('Content-Security-Policy');
  });

  it.each([
    ['stored', 'redis-http-cache-proxy; fwd=uri-miss; stored'],
    ['not-stored', 'redis-http-cache-proxy; fwd=uri-miss'],
    ['collapsed', 'redis-http-cache-proxy; fwd=uri-miss; collapsed'],
  ] as const)('describes a miss that was %s as %s', (origin, status) => {
    const headers = headersOf(keyResponse(loaded(origin), undefined, policy));
    expect(headers).toMatchObject({ Age: '0', 'Cache-Control': 'max-age=1', 'Cache-Status': status });
  });

  it.each([
    ['stale', 'stored', 'redis-http-cache-proxy; fwd=stale; stored'],
    ['stale', 'collapsed', 'redis-http-cache-proxy; fwd=stale; collapsed'],
    ['request', 'stored', 'redis-http-cache-proxy; fwd=request; stored'],
    ['request', 'not-stored', 'redis-http-cache-proxy; fwd=request'],
  ] as const)('states in fwd why the cached value was not used: %s, %s', (forward, origin, status) => {
    expect(headersOf(keyResponse(loaded(origin, forward), undefined, policy))['Cache-Status']).toBe(status);
  });

  it('states for how long a stale value has been expired', () => {
    const outcome = { ...stale, failure: 'timeout', origin: 'not-stored', forward: 'stale' } as const;
    const response = keyResponse(outcome, undefined, policy);
    expect(response).toMatchObject({ status: 200, body: value });
    expect(headersOf(response)).toMatchObject({
      ETag: formatEtag(etag),
      Age: '63',
      'Cache-Control': 'max-age=60',
      'Cache-Status': 'redis-http-cache-proxy; hit; ttl=-3; detail=stale-if-error',
    });
    const unchanged = keyResponse(outcome, formatEtag(etag), policy);
    expect(unchanged).toMatchObject({ status: 304, body: undefined });
    expect(headersOf(unchanged)['Cache-Status']).toContain('stale-if-error');
  });

  it('returns 304 without a body if If-None-Match names the value', () => {
    const response = keyResponse(hit, formatEtag(etag), policy);
    expect(response).toMatchObject({ status: 304, body: undefined });
    expect(Object.keys(headersOf(response))).toEqual(['ETag', 'Age', 'Cache-Control', 'Cache-Status']);
  });

  it('returns 200 for an empty string', () => {
    const response = keyResponse({ ...hit, value: Buffer.alloc(0) }, undefined, policy);
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
      const response = keyResponse(outcome, '*', policy);
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
    const response = keyResponse({ kind: 'unavailable', origin: 'not-stored', forward: 'uri-miss' }, undefined, policy);
    expect(headersOf(response)['Retry-After']).toBe('1');
  });
});
