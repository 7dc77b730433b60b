import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ClientTracking, type TrackingOptions, hashOf } from './client-tracking.ts';

const GET = { flags: ['readonly', 'fast'], keys: [1, 1, 1] } as const;
const MGET = { flags: ['readonly', 'fast'], keys: [1, -1, 1] } as const;
const NONE: TrackingOptions = { broadcast: false, optIn: false, optOut: false, noLoop: false };

const bytes = fc.uint8Array({ maxLength: 100 }).map((each) => Buffer.from(each));
const tracks = (tracking: ClientTracking, key: Buffer): boolean => tracking.tracks(key, hashOf(key));
const create = (options: Partial<TrackingOptions>, isCurrent = true): ClientTracking =>
  new ClientTracking({ ...NONE, ...options }, () => isCurrent);

describe('without BCAST', () => {
  it('a client tracks every key that it has read, until everything is invalidated', () => {
    fc.assert(
      fc.property(fc.array(bytes, { minLength: 1 }), (keys) => {
        const tracking = create({});
        expect(keys.some((key) => tracks(tracking, key))).toBe(false);
        tracking.note(MGET, keys);
        expect(keys.every((key) => tracks(tracking, key))).toBe(true);
        tracking.forget();
        expect(keys.some((key) => tracks(tracking, key))).toBe(false);
      }),
    );
  });

  it('a client that has read 1,000 keys tracks few others', () => {
    const tracking = create({});
    for (let i = 0; i < 1000; i++) tracking.note(GET, [Buffer.from(`read:${i}`)]);
    const others = Array.from({ length: 10_000 }, (_, i) => Buffer.from(`other:${i}`));
    expect(others.filter((key) => tracks(tracking, key)).length).toBeLessThan(250);
  });

  it('commands that read no key, or write nothing but accept keys, are not tracked', () => {
    const tracking = create({});
    tracking.note({ flags: ['readonly'], keys: [0, 0, 0] }, [Buffer.from('key')]);
    tracking.note({ flags: ['noscript'], keys: [1, -1, 1] }, [Buffer.from('key')]);
    expect(tracks(tracking, Buffer.from('key'))).toBe(false);
  });

  it.each([
    [{ optIn: true }, false, false],
    [{ optIn: true }, true, true],
    [{ optOut: true }, false, true],
    [{ optOut: true }, true, false],
  ])('with %j, and CLIENT CACHING sent: %j, a read key is tracked: %j', (options, caching, tracked) => {
    const tracking = create(options);
    tracking.caching = caching;
    tracking.note(GET, [Buffer.from('key')]);
    expect(tracks(tracking, Buffer.from('key'))).toBe(tracked);
  });
});

describe('with BCAST', () => {
  it('a client tracks the keys with its prefixes, whether or not it has read them', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 5 }), bytes, (prefixes, key) => {
        const tracking = create({ broadcast: true });
        expect(tracking.addPrefixes(prefixes)).toBeUndefined();
        const expected = prefixes.some((prefix) => key.subarray(0, prefix.length).equals(prefix));
        expect(tracks(tracking, key)).toBe(expected);
        for (const prefix of prefixes) expect(tracks(tracking, Buffer.concat([prefix, key]))).toBe(true);
        tracking.forget();
        expect(tracks(tracking, key)).toBe(expected);
      }),
    );
  });

  it('prefixes are limited', () => {
    const tracking = create({ broadcast: true });
    const prefixes = Array.from({ length: 128 }, (_, i) => Buffer.from(`${i}:`));
    expect(tracking.addPrefixes(prefixes)).toBeUndefined();
    expect(tracking.addPrefixes([Buffer.from('x')])).toMatch(/^ERR /);
    expect(tracking.prefixes).toHaveLength(128);
    expect(create({}).addPrefixes([Buffer.alloc(8193)])).toMatch(/^ERR /);
  });
});

it('reads while the proxy does not receive invalidations are reported once', () => {
  const tracking = create({}, false);
  const key = Buffer.from('key');
  expect(tracking.takeUntracked()).toBeUndefined();
  tracking.note(GET, [key]);
  expect([tracking.takeUntracked(), tracking.takeUntracked()]).toEqual([[key], undefined]);
  const current = create({});
  current.note(GET, [key]);
  expect(current.takeUntracked()).toBeUndefined();
});

it('the keys that were read last are kept, within limits, whether or not with BCAST', () => {
  for (const broadcast of [true, false]) {
    const tracking = create({ broadcast });
    const keys = Array.from({ length: 200 }, (_, i) => Buffer.from(`key ${i}`));
    tracking.note(MGET, keys);
    expect([tracking.takeRecent(), tracking.takeRecent()]).toEqual([keys.slice(-128), []]);
    const long = Array.from({ length: 3 }, (_, i) => Buffer.alloc(4000, String(i)));
    tracking.note(MGET, [...long, Buffer.alloc(10_000)]);
    expect(tracking.takeRecent()).toEqual(long.slice(-2));
  }
});
