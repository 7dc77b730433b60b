import { Buffer } from 'node:buffer';
import { describe, expect, it } from '@jest/globals';
import { Query } from '../../redis/query.ts';
import { BufferFull, type RedisReply } from '../../redis/redis-reply.ts';
import { LargeValues } from './large-values.ts';

const MiB = 2 ** 20;
const value = (bytes: number): RedisReply => ({ kind: 'value', value: Buffer.alloc(bytes), ttlMs: undefined });
const get = (key: string): Query => Query.get(Buffer.from(key));
const KEY = get('key');

describe('LargeValues', () => {
  it.each<[string, RedisReply, number | undefined]>([
    ['a large value', value(4 * MiB), 4 * MiB],
    ['a value without memory', new BufferFull(3 * MiB), 3 * MiB],
    ['a value of 256 KiB', value(MiB / 4), undefined],
    ['a missing key', { kind: 'missing' }, undefined],
    ['a value that is never read', { kind: 'value-too-large' }, undefined],
    ['a failure without a reply', { kind: 'unavailable', reason: 'connection' }, 2 * MiB],
    ['a time-out', { kind: 'timeout' }, 2 * MiB],
  ])('knows the length of a value of 2 MiB after %s', (_, reply, expected) => {
    const values = new LargeValues();
    expect(values.bytesOf(KEY)).toBeUndefined();
    values.note(KEY, value(2 * MiB));
    values.note(KEY, reply);
    expect([values.bytesOf(KEY), values.bytesOf(get('other'))]).toEqual([expected, undefined]);
  });

  it('assumes 1 MiB for values that did not arrive in time while others are large, until one of them turns out to be short', () => {
    const values = new LargeValues();
    const [large, late, alsoLate] = [get('large'), get('late'), get('also late')];
    const known = (): (number | undefined)[] => [large, late, alsoLate].map((query) => values.bytesOf(query));
    values.note(large, value(2 * MiB));
    for (const query of [large, late, alsoLate]) values.note(query, { kind: 'timeout' });
    expect(known()).toEqual([2 * MiB, MiB, MiB]);
    values.note(late, value(3 * MiB));
    expect(known()).toEqual([2 * MiB, 3 * MiB, MiB]);
    values.note(get('short'), value(1));
    expect(known()).toEqual([2 * MiB, 3 * MiB, MiB]);
    values.note(KEY, { kind: 'timeout' });
    values.note(KEY, value(1));
    expect(known()).toEqual([2 * MiB, 3 * MiB, undefined]);
  });

  it('assumes nothing for values that did not arrive in time while no value is large', () => {
    const values = new LargeValues();
    values.note(KEY, { kind: 'timeout' });
    expect(values.bytesOf(KEY)).toBeUndefined();
    values.note(get('large'), value(2 * MiB));
    expect(values.bytesOf(KEY)).toBeUndefined();
  });

  it('forgets the value that was loaded longest ago beyond 1024, and knows none with a long key', () => {
    const values = new LargeValues();
    const large = new BufferFull(MiB);
    for (let i = 0; i < 1024; i++) values.note(get(`key:${i}`), large);
    values.note(get('key:0'), large);
    values.note(get('k'.repeat(513)), large);
    values.note(get('k'.repeat(512)), large);
    const known = ['key:0', 'key:1', 'key:2', 'k'.repeat(512), 'k'.repeat(513)].map((key) => values.bytesOf(get(key)));
    expect(known).toEqual([MiB, undefined, MiB, MiB, undefined]);
  });
});
