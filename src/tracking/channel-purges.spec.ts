import { beforeEach, describe, expect, it } from '@jest/globals';
import { MAX_KEY_BYTES } from '../access/access.ts';
import { Header } from '../cache/shared-lru/memory/layout.ts';
import { SharedLru } from '../cache/shared-lru/shared-lru.ts';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { InstanceMemory } from '../instance/instance-memory.ts';
import { Query } from '../redis/query.ts';
import { ChannelPurges, MAX_PENDING_BYTES, MAX_PENDING_SELECTIONS, parsePurgeMessage } from './channel-purges.ts';
import { InvalidationQueue } from './invalidation-queue.ts';

const OTHER_THREAD = 2;
const LIMITS = {
  capacity: 1000,
  maxBytes: 10_000_000,
  maxValueBytes: 1000,
  maxLeases: 1000,
  leaseMs: 60_000,
  staleMs: 0,
};

describe('A message on the purge channel', () => {
  const parsed = (message: Buffer | string) => {
    const order = parsePurgeMessage(Buffer.from(message));
    return typeof order === 'string' ? order : order.keys.map((key) => key.toString('latin1'));
  };

  it.each([
    ['user:1', ['user:1']],
    ['prefix', ['prefix']],
    ['Key:1', ['Key:1']],
    ['keys:1', ['keys:1']],
    [' key:1', [' key:1']],
    ['key:user:1', ['key:user:1', 'user:1']],
    ['key:prefix:a', ['key:prefix:a', 'prefix:a']],
    ['prefix:a', ['prefix:a']],
    ['pattern:a*', ['pattern:a*']],
  ])('%s names the keys %j', (message, keys) => {
    expect(parsed(message)).toEqual(keys);
  });

  it('names keys of any bytes', () => {
    expect(parsed(Buffer.from([0xff, 0, 10]))).toEqual(['\u00ff\0\n']);
    expect(parsed(Buffer.from([...Buffer.from('key:'), 0xff]))).toEqual(['key:\u00ff', '\u00ff']);
  });

  it.each([
    ['', 'it is empty'],
    ['key:', 'the key is empty'],
    ['prefix:', 'the prefix is empty'],
    ['pattern:', 'the pattern is empty'],
    ['pattern:[a', 'the pattern is invalid'],
    ['pattern:a\\', 'the pattern is invalid'],
    [`pattern:${'a'.repeat(1025)}`, 'the pattern is too long'],
    [`prefix:${'a'.repeat(MAX_KEY_BYTES + 1)}`, 'the prefix is too long'],
    ['a'.repeat(MAX_KEY_BYTES + 1), 'the key is too long'],
  ])('is not understood: %s', (message, reason) => {
    expect(parsePurgeMessage(Buffer.from(message))).toBe(reason);
  });

  it('names a key of the maximum length, also after key:', () => {
    const key = 'a'.repeat(MAX_KEY_BYTES);
    expect(parsed(key)).toEqual([key]);
    expect(parsed(`key:${key}`)).toEqual([key]);
  });
});

describe('ChannelPurges', () => {
  let lru: SharedLru;
  let counts: CoherenceCounts;
  let purges: ChannelPurges;
  let scheduled: (() => void)[];
  let ignored: string[];

  beforeEach(() => {
    lru = SharedLru.create(LIMITS, 1, () => 1000);
    counts = new CoherenceCounts(InstanceMemory.create());
    scheduled = [];
    ignored = [];
    const schedule = {
      retry: (work: () => void) => void scheduled.push(work),
      next: (work: () => void) => void scheduled.push(work),
    };
    purges = new ChannelPurges({
      lru,
      queue: new InvalidationQueue(lru, schedule),
      counts,
      schedule,
      onIgnored: (reason) => ignored.push(reason),
    });
  });

  const receive = (message: string): void => purges.receive(Buffer.from(message));
  const isCached = (key: string): boolean => lru.peek(Query.get(Buffer.from(key))) !== undefined;
  const setLock = (owner: number): void => void (new Int32Array(lru.buffer)[Header.LOCK] = owner);

  function store(...keys: string[]): void {
    for (const key of keys) {
      const found = lru.lookup(Query.get(Buffer.from(key)));
      if (found.kind === 'miss') lru.commit(found.lease, Buffer.from('value'), [1, 2, 3], 60_000);
    }
  }

  /** Runs what is scheduled, and what that schedules; returns how many times. */
  function run(): number {
    let times = 0;
    for (let work = scheduled.shift(); work !== undefined; work = scheduled.shift()) {
      work();
      times++;
    }
    return times;
  }

  it('purges keys at once', () => {
    store('a', 'b', 'key:b', 'c');
    receive('a');
    receive('key:b');
    expect(['a', 'b', 'key:b', 'c'].filter(isCached)).toEqual(['c']);
    expect([counts.purges, scheduled.length]).toEqual([2, 0]);
  });

  it('purges keys that begin with one of its words by themselves', () => {
    store('prefix:a', 'ab', 'pattern:x*', 'xy');
    receive('key:prefix:a');
    expect(['prefix:a', 'ab'].filter(isCached)).toEqual(['ab']);
    receive('prefix:a');
    receive('pattern:x*');
    run();
    expect(lru.stats().entries).toBe(0);
  });

  it('purges by prefix and by pattern, and counts a message once it took effect', () => {
    store('user:1', 'user:2', 'session:1', 'session:2');
    receive('prefix:user:');
    expect([counts.purges, lru.stats().entries]).toEqual([0, 4]);
    run();
    expect([counts.purges, lru.stats().entries]).toEqual([1, 2]);
    receive('pattern:*:2');
    run();
    expect([counts.purges, isCached('session:1'), lru.stats().entries]).toEqual([2, true, 1]);
  });

  it('ignores messages that it does not understand', () => {
    store('a');
    receive('prefix:');
    receive('');
    expect(ignored).toEqual(['the prefix is empty', 'it is empty']);
    expect([counts.purges, counts.ignoredPurges, isCached('a')]).toEqual([0, 2, true]);
  });

  it('retries while another thread holds the lock', () => {
    store('a', 'b1');
    setLock(OTHER_THREAD);
    receive('a');
    receive('prefix:b');
    for (let times = 0; times < 3; times++) scheduled.splice(0).forEach((work) => work());
    setLock(0);
    expect([counts.purges, lru.stats().entries]).toEqual([0, 2]);
    run();
    expect([counts.purges, lru.stats().entries]).toEqual([2, 0]);
  });

  it('purges all prefixes and patterns that arrive during a walk with one more walk', () => {
    const keys = Array.from({ length: 900 }, (_, i) => `${i}:`);
    store(...keys);
    receive('prefix:0:');
    for (let i = 1; i <= 50; i++) receive(`prefix:${i}:`);
    // Two walks over 900 slots, of 256 in a step, the first of which was made already, and a turn between the walks.
    expect(run()).toBeLessThan(12);
    expect([counts.purges, lru.stats().entries]).toEqual([51, 900 - 51]);
  });

  it.each([
    ['prefixes', Array.from({ length: MAX_PENDING_SELECTIONS + 2 }, (_, i) => `prefix:none${i}`)],
    ['bytes', Array.from({ length: 4 }, () => `prefix:${'a'.repeat(MAX_PENDING_BYTES / 2 - 10)}`)],
  ])('flushes the cache when too many %s are pending', (_what, messages) => {
    store(...Array.from({ length: 600 }, (_, i) => `${i}:`));
    for (const message of messages) receive(message);
    run();
    expect([counts.purges, lru.stats().entries]).toEqual([messages.length, 0]);
  });

  it.each([0, 1, 2, 3, 4])(
    'flushes the cache in place of a walk that would have been next, after %i turns',
    (turns) => {
      store(...Array.from({ length: 600 }, (_, i) => `${i}:`));
      receive('prefix:none');
      receive('prefix:none');
      for (let turn = 0; turn < turns; turn++) scheduled.shift()?.();
      // With the second message, if it is pending, they are just too many.
      for (let i = 0; i < MAX_PENDING_SELECTIONS; i++) receive(`prefix:none${i}`);
      run();
      expect(counts.purges).toBe(2 + MAX_PENDING_SELECTIONS);
      store('a1');
      receive('prefix:a');
      run();
      expect(isCached('a1')).toBe(false);
    },
  );

  it('voids the leases of matching keys', () => {
    const found = lru.lookup(Query.get(Buffer.from('user:1')));
    receive('prefix:user:');
    run();
    if (found.kind !== 'miss') throw new Error(found.kind);
    expect(lru.commit(found.lease, Buffer.from('old'), [1, 2, 3], 60_000)).toBe('void');
  });

  it('expires all entries', () => {
    store('a');
    purges.expireAll();
    expect(isCached('a')).toBe(false);
  });
});
