import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { etagOf, formatEtag } from '../../cache/shared-lru/etag.ts';
import { MAX_ANSWER_BYTES } from '../response/results-body.ts';
import type { HttpResponse } from '../response/http-response.ts';
import { mgetAnswer } from './mget-answer.ts';

const hit = (value: Buffer) => ({
  kind: 'hit' as const,
  value,
  etag: etagOf(value),
  freshness: { ageMs: 1999, lifetimeMs: 60_000 },
});

const KEPT = { revalidate: false };

const allocate = (bytes: number): Buffer => Buffer.alloc(bytes);

async function answerTo(outcomes: Parameters<typeof mgetAnswer>[0], policy = KEPT): Promise<HttpResponse> {
  return (await mgetAnswer(outcomes, policy, allocate)) as HttpResponse;
}

async function resultsOf(...outcomes: Parameters<typeof mgetAnswer>[0]): Promise<Record<string, unknown>[]> {
  const { status, headers, body } = await answerTo(outcomes);
  expect([status, headers[headers.indexOf('Content-Length') + 1]]).toEqual([200, String(body?.length)]);
  return (JSON.parse(String(body)) as { results: Record<string, unknown>[] }).results;
}

describe('the answer to many keys', () => {
  it('is JSON from which each value can be had again, to the byte', async () => {
    const bytes = fc.oneof(
      fc.uint8Array().map((each) => Buffer.from(each)),
      fc.string({ unit: 'binary' }).map((each) => Buffer.from(each)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(bytes), async (values) => {
        const results = await resultsOf(...values.map(hit));
        const again = results.map(({ value, encoding }) => Buffer.from(value as string, encoding as BufferEncoding));
        expect(again).toEqual(values);
      }),
    );
  });

  it('tells the age in whole seconds rounded up, the lifetime rounded down, and the validator as GET does', async () => {
    const value = Buffer.from('value');
    const common = { value: 'value', encoding: 'utf8', etag: formatEtag(etagOf(value)), age: 2, maxAge: 60 };
    expect(await resultsOf(hit(value))).toEqual([{ status: 200, ...common, cacheStatus: 'hit' }]);
  });

  it('is not to be kept while writes are followed', async () => {
    const { body } = await answerTo([hit(Buffer.from('value'))], { revalidate: true });
    expect(JSON.parse(String(body))).toMatchObject({ results: [{ age: 2, maxAge: 0 }] });
  });

  it('says of a value whose time is over that it is stale', async () => {
    const value = Buffer.from('value');
    const freshness = { ageMs: 61_999, lifetimeMs: 60_000 };
    const load = { failure: 'timeout', origin: 'not-stored', forward: 'stale' } as const;
    const results = await resultsOf({ kind: 'stale', value, etag: etagOf(value), freshness, ...load });
    expect(results).toMatchObject([{ status: 200, value: 'value', age: 62, maxAge: 60, cacheStatus: 'stale' }]);
  });

  it('never takes a failure for a missing key', async () => {
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

  it('lets others have their turn while a long one is put together', async () => {
    let turns = 0;
    const count = (): void => {
      turns++;
      again = setImmediate(count);
    };
    let again = setImmediate(count);
    await answerTo(Array.from({ length: 12 }, () => hit(Buffer.alloc(MAX_ANSWER_BYTES / 16, 'x'))));
    clearImmediate(again);
    expect(turns).toBeGreaterThanOrEqual(11);
  });
});
