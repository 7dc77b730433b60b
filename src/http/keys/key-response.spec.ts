import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { etagOf, formatEtag } from '../../cache/shared-lru/etag.ts';
import { TICK_MS } from '../../cache/shared-lru/clock.ts';
import type { Forward } from '../../cache/shared-lru/cache-types.ts';
import type { DirectedOutcome, Origin, ReadOutcome } from '../../cache/read-through/read-outcome.ts';
import { type HttpResponse } from '../response/http-response.ts';
import { keyResponse } from './key-response.ts';

const value = Buffer.from('hello from redis');
const etag = etagOf(value);
const policy = { contentType: 'text/plain', private: false, revalidate: false };

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

function headersOf(answer: HttpResponse): Record<string, string> {
  return Object.fromEntries(answer.headers.flatMap((name, i) => (i % 2 === 0 ? [[name, answer.headers[i + 1]]] : [])));
}

function problemOf(answer: HttpResponse): { status: number; code: string } {
  return JSON.parse(String(answer.body)) as { status: number; code: string };
}

describe('the answer to a key', () => {
  it('is the value, with how old it is and how long it lives', () => {
    const answer = keyResponse(hit, undefined, policy);
    expect(answer.status).toBe(200);
    expect(answer.body).toBe(value);
    expect(headersOf(answer)).toEqual({
      ETag: formatEtag(etag),
      Age: '4',
      'Cache-Control': 'max-age=60',
      'Cache-Status': 'redis-http-cache-proxy; hit; ttl=56',
      'Content-Type': 'text/plain',
      'Content-Length': '16',
      'Content-Security-Policy': "default-src 'none'; sandbox",
    });
  });

  it('never promises more than the value has left: max-age less Age', () => {
    const times = fc.nat({ max: 2 ** 40 }).map((ticks) => ticks * TICK_MS);
    fc.assert(
      fc.property(times, times, (ageMs, leftMs) => {
        const held: ReadOutcome = { ...hit, freshness: { ageMs, lifetimeMs: ageMs + leftMs } };
        const { Age, 'Cache-Control': control } = headersOf(keyResponse(held, undefined, policy));
        const maxAge = Number(/^max-age=(\d+)$/.exec(control)?.[1]);
        expect((maxAge - Number(Age)) * 1000).toBeLessThanOrEqual(held.freshness.lifetimeMs - ageMs);
      }),
    );
  });

  it('is not to be given again without asking while its writes are followed', () => {
    const headers = headersOf(keyResponse(hit, undefined, { ...policy, revalidate: true }));
    expect(headers).toMatchObject({ Age: '4', 'Cache-Control': 'no-cache' });
    const closed = headersOf(keyResponse(hit, undefined, { ...policy, private: true, revalidate: true }));
    expect(closed).toMatchObject({ 'Cache-Control': 'private, no-cache' });
  });

  it('needs no sandbox where browsers do not show the value', () => {
    const { headers } = keyResponse(hit, undefined, { ...policy, contentType: 'application/octet-stream' });
    expect(headers).not.toContain('Content-Security-Policy');
  });

  it.each([
    ['stored', 'redis-http-cache-proxy; fwd=uri-miss; stored'],
    ['not-stored', 'redis-http-cache-proxy; fwd=uri-miss'],
    ['collapsed', 'redis-http-cache-proxy; fwd=uri-miss; collapsed'],
  ] as const)('says of a miss that was %s: %s', (origin, status) => {
    const headers = headersOf(keyResponse(loaded(origin), undefined, policy));
    expect(headers).toMatchObject({ Age: '0', 'Cache-Control': 'max-age=1', 'Cache-Status': status });
  });

  it.each([
    ['stale', 'stored', 'redis-http-cache-proxy; fwd=stale; stored'],
    ['stale', 'collapsed', 'redis-http-cache-proxy; fwd=stale; collapsed'],
    ['request', 'stored', 'redis-http-cache-proxy; fwd=request; stored'],
    ['request', 'not-stored', 'redis-http-cache-proxy; fwd=request'],
  ] as const)('says why what was held did not do: %s, %s', (forward, origin, status) => {
    expect(headersOf(keyResponse(loaded(origin, forward), undefined, policy))['Cache-Status']).toBe(status);
  });

  it('says of a stale value for how long its time has been over', () => {
    const outcome = { ...stale, failure: 'timeout', origin: 'not-stored', forward: 'stale' } as const;
    const answer = keyResponse(outcome, undefined, policy);
    expect(answer).toMatchObject({ status: 200, body: value });
    expect(headersOf(answer)).toMatchObject({
      ETag: formatEtag(etag),
      Age: '63',
      'Cache-Control': 'max-age=60',
      'Cache-Status': 'redis-http-cache-proxy; hit; ttl=-3; detail=stale-if-error',
    });
    const unchanged = keyResponse(outcome, formatEtag(etag), policy);
    expect(unchanged).toMatchObject({ status: 304, body: undefined });
    expect(headersOf(unchanged)['Cache-Status']).toContain('stale-if-error');
  });

  it('is 304 without a body for a value that the client has', () => {
    const answer = keyResponse(hit, formatEtag(etag), policy);
    expect(answer).toMatchObject({ status: 304, body: undefined });
    expect(Object.keys(headersOf(answer))).toEqual(['ETag', 'Age', 'Cache-Control', 'Cache-Status']);
  });

  it('is 200 for an empty string', () => {
    const answer = keyResponse({ ...hit, value: Buffer.alloc(0) }, undefined, policy);
    expect(answer.status).toBe(200);
    expect(headersOf(answer)['Content-Length']).toBe('0');
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
    'is a problem for %j',
    (outcome, status, code, cacheStatus) => {
      const answer = keyResponse(outcome, '*', policy);
      expect(answer.status).toBe(status);
      expect(problemOf(answer)).toMatchObject({ status, code });
      expect(headersOf(answer)).toMatchObject({
        'Content-Type': 'application/problem+json',
        'Cache-Control': 'no-store',
        'Cache-Status': `redis-http-cache-proxy; ${cacheStatus}`,
      });
    },
  );

  it('says when to come back while Redis cannot be asked', () => {
    const answer = keyResponse({ kind: 'unavailable', origin: 'not-stored', forward: 'uri-miss' }, undefined, policy);
    expect(headersOf(answer)['Retry-After']).toBe('1');
  });
});
