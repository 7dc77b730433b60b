import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { etagOf, formatEtag } from '../../cache/shared-lru/etag.ts';
import { MAX_RESULTS_BYTES } from '../response/json/results-body.ts';
import type { HttpResponse } from '../response/http-response.ts';
import { mgetResponse } from './mget-response.ts';

const hit = (value: Buffer) => ({
  kind: 'hit' as const,
  value,
  etag: etagOf(value),
  freshness: { ageMs: 1999, lifetimeMs: 60_000 },
});

const CACHEABLE = { revalidate: false };

const allocate = (bytes: number): Buffer => Buffer.alloc(bytes);

async function responseTo(outcomes: Parameters<typeof mgetResponse>[0], policy = CACHEABLE): Promise<HttpResponse> {
  return (await mgetResponse(outcomes, policy, allocate)) as HttpResponse;
}

async function resultsOf(...outcomes: Parameters<typeof mgetResponse>[0]): Promise<Record<string, unknown>[]> {
  const { status, headers, body } = await responseTo(outcomes);
  expect([status, headers[headers.indexOf('Content-Length') + 1]]).toEqual([200, String(body?.length)]);
  return (JSON.parse(String(body)) as { results: Record<string, unknown>[] }).results;
}

describe('mgetResponse', () => {
  it('encodes values so that a client can decode the same bytes', async () => {
    const bytes = fc.oneof(
      fc.uint8Array().map((each) => Buffer.from(each)),
      fc.string({ unit: 'binary' }).map((each) => Buffer.from(each)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(bytes), async (values) => {
        const results = await resultsOf(...values.map(hit));
        const decoded = results.map(({ value, encoding }) => Buffer.from(value as string, encoding as BufferEncoding));
        expect(decoded).toEqual(values);
      }),
    );
  });

  it('rounds the age up and the lifetime down to seconds, and has the ETag of GET', async () => {
    const value = Buffer.from('value');
    const common = { value: 'value', encoding: 'utf8', etag: formatEtag(etagOf(value)), age: 2, maxAge: 60 };
    expect(await resultsOf(hit(value))).toEqual([{ status: 200, ...common, cacheStatus: 'hit' }]);
  });

  it('sets maxAge to 0 while tracking is active', async () => {
    const { body } = await responseTo([hit(Buffer.from('value'))], { revalidate: true });
    expect(JSON.parse(String(body))).toMatchObject({ results: [{ age: 2, maxAge: 0 }] });
  });

  it('marks an expired value as stale', async () => {
    const value = Buffer.from('value');
    const freshness = { ageMs: 61_999, lifetimeMs: 60_000 };
    const load = { failure: 'timeout', origin: 'not-stored', forward: 'stale' } as const;
    const results = await resultsOf({ kind: 'stale', value, etag: etagOf(value), freshness, ...load });
    expect(results).toMatchObject([{ status: 200, value: 'value', age: 62, maxAge: 60, cacheStatus: 'stale' }]);
  });

  it('distinguishes failures from missing keys', async () => {
    const kinds = ['absent', 'wrong-type', 'timeout', 'unavailable', 'overloaded'] as const;
    const freshness = { ageMs: 0, lifetimeMs: 0 };
    const loaded = kinds.map((kind) => ({
      kind,
      freshness,
      origin: 'not-stored' as const,
      forward: 'uri-miss' as const,
    }));
    const results = await resultsOf(
      { kind: 'missing', freshness },
      ...loaded,
      { kind: 'not-allowed' },
      { kind: 'omitted' },
    );
    expect(results.map(({ status, code, cacheStatus }) => [status, code, cacheStatus])).toEqual([
      [404, 'key-not-found', 'hit'],
      [404, 'key-not-found', 'not-stored'],
      [409, 'wrong-type', 'not-stored'],
      [504, 'redis-timeout', 'not-stored'],
      [503, 'redis-unavailable', 'not-stored'],
      [503, 'overloaded', 'not-stored'],
      [403, 'key-not-allowed', undefined],
      [413, 'answer-too-large', undefined],
    ]);
  });

  it('yields to the event loop while a long body is rendered', async () => {
    let turns = 0;
    const count = (): void => {
      turns++;
      again = setImmediate(count);
    };
    let again = setImmediate(count);
    await responseTo(Array.from({ length: 12 }, () => hit(Buffer.alloc(MAX_RESULTS_BYTES / 16, 'x'))));
    clearImmediate(again);
    expect(turns).toBeGreaterThanOrEqual(11);
  });
});
