import { deepStrictEqual, ok } from 'node:assert';
import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { Query } from '../../../redis/query.ts';
import type { EntryId, Lease } from '../cache-types.ts';
import type { KeySelection } from './matching-purge.ts';
import { Header, type LruLimits } from '../memory/layout.ts';
import { SharedLru } from '../shared-lru.ts';
import { checkInvariants, keyOf, nameOf } from '../shared-memory.spec-support.ts';

/** FC_RUNS is the number of runs. */
const RUNS = Number(process.env['FC_RUNS'] ?? 300);
const THREADS = 3;
const MINUTE_MS = 60_000;
const LIMITS: LruLimits = {
  capacity: 2000,
  maxBytes: 10_000_000,
  maxValueBytes: 1_000_000,
  maxLeases: 300,
  leaseMs: 1000,
  staleMs: 0,
};

/** Selects the keys that start with a text. */
function startingWith(prefix: string, keyBytesPerStep = 16_384): KeySelection {
  const matches = (bytes: Uint8Array, from: number, to: number): boolean =>
    Buffer.from(bytes.subarray(from, to)).toString('latin1').startsWith(prefix);
  return { keyBytesPerStep, matches };
}

describe('A purge of matching keys', () => {
  let now: number;
  let lru: SharedLru;
  let other: SharedLru;
  const clock = (): number => now;

  beforeEach(() => {
    now = 1000;
    lru = SharedLru.create(LIMITS, 1, clock);
    other = SharedLru.attach(lru.buffer, 2, clock);
  });

  const get = (key: string | Buffer): Query => Query.get(Buffer.from(key));
  const hget = (key: string, field: string): Query =>
    Query.of(Buffer.from(key), [Buffer.from('HGET'), Buffer.from(field)]);

  function leaseOf(query: Query, by = lru, maxAgeMs = Infinity): Lease {
    const found = by.lookup(query, false, maxAgeMs);
    if (found.kind !== 'miss') throw new Error(found.kind);
    return found.lease;
  }

  const commit = (lease: Lease, value: Buffer | string = 'value', by = lru): string =>
    by.commit(lease, Buffer.from(value), [1, 2, 3], MINUTE_MS);
  const store = (query: Query, value?: Buffer): string => commit(leaseOf(query), value);
  const isCached = (query: Query): boolean => lru.peek(query) !== undefined;

  /** Purges; returns the number of entries ended and of steps. */
  function purge(selection: KeySelection): [purged: number, steps: number] {
    const purging = lru.purgeMatching(selection);
    let steps = 1;
    while (!purging.step()) steps++;
    checkInvariants(lru.buffer);
    return [purging.purged, steps];
  }

  it('lets a thread that waits for the lock have it after each step, also after one that does not wait itself', () => {
    const header = new Int32Array(lru.buffer);
    // As if a thread waited, which finds the lock held each time it wakes up if the steps follow one another closely.
    Atomics.store(header, Header.LOCK_WAITERS, 1);
    const wait = jest.spyOn(Atomics, 'wait');
    try {
      const purge = lru.purgeMatching(startingWith('a'));
      purge.step();
      expect(wait).toHaveBeenCalledTimes(1);
      purge.tryStep();
      expect(wait).toHaveBeenCalledTimes(2);
    } finally {
      wait.mockRestore();
    }
  });

  it('ends the entries of all queries of matching keys, and no others', () => {
    const matching = [get('user:'), get('user:1'), hget('user:1', 'a'), hget('user:2', 'a'), hget('user:2', 'b')];
    // Their ids contain the prefix, their keys do not start with it.
    const others = [get(''), get('user'), get('a:user:'), hget('user', ':1'), hget('u', 'ser:')];
    for (const query of [...matching, ...others]) store(query);
    expect(purge(startingWith('user:'))[0]).toBe(matching.length);
    expect(matching.filter(isCached)).toEqual([]);
    expect(others.filter(isCached)).toEqual(others);
    expect(lru.stats()).toMatchObject({ entries: others.length, invalidations: matching.length, leases: 0 });
    expect(purge(startingWith('user:'))[0]).toBe(0);
  });

  it('matches keys of any bytes and lengths, in their slots and beyond', () => {
    const keys = [0, 1, 7, 8, 127, 128, 129, 192, 193, 20_000, 65_536].map((length) => Buffer.alloc(length, 0xff));
    for (const key of keys) store(get(key));
    const matched: number[] = [];
    const matches = (bytes: Uint8Array, from: number, to: number): boolean => {
      expect([...bytes.subarray(from, to)].every((byte) => byte === 0xff)).toBe(true);
      return matched.push(to - from) > 0;
    };
    expect(purge({ keyBytesPerStep: 100, matches })[0]).toBe(keys.length);
    expect(matched).toEqual(keys.map(({ length }) => length));
  });

  it('voids the leases of matching keys, also of keys with an entry, and wakes the threads that wait for them', async () => {
    store(get('a1'));
    const reloading = leaseOf(get('a1'), lru, 0);
    const loading = leaseOf(hget('a2', 'x'), other);
    const unrelated = leaseOf(get('b'), other);
    const waiting = lru.result(loading);
    expect(purge(startingWith('a'))[0]).toBe(1);
    expect(await waiting).toBe('void');
    expect([commit(reloading), commit(loading, 'old', other), commit(unrelated, 'new', other)]).toEqual([
      'void',
      'void',
      'stored',
    ]);
    expect([get('a1'), hget('a2', 'x'), get('b')].map(isCached)).toEqual([false, false, true]);
  });

  it('ends what a load that began before it stores before its walk arrives', () => {
    const leases = Array.from({ length: 50 }, (_, i) => leaseOf(get(`a${i}`), other));
    const purging = lru.purgeMatching(startingWith('a', 0));
    expect(purging.step()).toBe(false);
    expect(leases.map((lease) => commit(lease, 'old', other))).toContain('stored');
    while (!purging.step());
    expect(lru.stats()).toMatchObject({ entries: 0, leases: 0 });
    // The first key was matched before its value was stored.
    expect(purging.purged).toBe(50);
    checkInvariants(lru.buffer);
  });

  it('does not end what takes the slot of a matching key meanwhile', () => {
    store(get('a1'));
    const purging = lru.purgeMatching(startingWith('a', 0));
    purging.step();
    other.purge(Buffer.from('a1'));
    store(get('b'));
    while (!purging.step());
    expect([purging.purged, isCached(get('b'))]).toEqual([0, true]);
  });

  it('is complete when the cache is flushed meanwhile, and ends nothing that is stored afterwards', () => {
    for (let i = 0; i < 10; i++) store(get(`a${i}`));
    const purging = lru.purgeMatching(startingWith('a', 0));
    purging.step();
    other.flush();
    for (let i = 0; i < 10; i++) store(get(`a${i}`));
    expect(purging.step()).toBe(true);
    expect([purging.purged, lru.stats().entries]).toEqual([0, 10]);
  });

  it('does not count entries that have expired', () => {
    lru.commit(leaseOf(get('a1')), Buffer.alloc(0), [1, 2, 3], 10);
    now += 10;
    expect(purge(startingWith('a'))[0]).toBe(0);
    expect(lru.stats()).toMatchObject({ entries: 0, expirations: 1, invalidations: 0 });
  });

  it('visits at most 256 slots in a step, and ends fewer entries if they are large', () => {
    for (let i = 0; i < 1000; i++) store(get(`b${i}`));
    expect(purge(startingWith('a'))).toEqual([0, 4]);
    expect(purge(startingWith('b'))).toEqual([1000, 5]);
    for (let i = 0; i < 8; i++) store(get(`c${i}`), Buffer.alloc(1_000_000));
    // 15,625 blocks each.
    expect(purge(startingWith('c'))).toEqual([8, 4 + 8]);
  });

  it('does nothing while another thread holds the lock, if it must not wait', () => {
    store(get('a1'));
    const header = new Int32Array(lru.buffer);
    const purging = lru.purgeMatching(startingWith('a'));
    header[Header.LOCK] = 2;
    expect(purging.tryStep()).toBe('locked');
    header[Header.LOCK] = 0;
    expect(purging.tryStep()).toBe('more');
    header[Header.LOCK] = 2;
    expect(purging.tryStep()).toBe('locked');
    header[Header.LOCK] = 0;
    expect([purging.tryStep(), purging.purged, isCached(get('a1'))]).toEqual(['done', 1, false]);
  });

  it('is complete at once if nothing is cached', () => {
    expect(purge(startingWith(''))).toEqual([0, 1]);
  });
});

type Action =
  | { readonly act: 'load'; readonly thread: number; readonly key: number; readonly reload: boolean }
  | { readonly act: 'store'; readonly thread: number; readonly load: number }
  | { readonly act: 'start purge'; readonly thread: number; readonly prefix: string; readonly bytes: number }
  | { readonly act: 'step'; readonly purge: number }
  | { readonly act: 'purge'; readonly thread: number; readonly key: number };

const KEYS: readonly EntryId[] = ['', 'a', 'aa', 'ab', 'abc', 'b', `a${'b'.repeat(200)}`]
  .flatMap((key) => ['', 'x'].map((selector) => ({ key, selector })))
  .map(({ key, selector }) => ({ id: Buffer.from(key + selector), selectorLength: selector.length }));
const PREFIXES = ['', 'a', 'ab', 'b', 'x'];

const thread = fc.nat({ max: THREADS - 1 });
const key = fc.nat({ max: KEYS.length - 1 });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ act: fc.constant('load' as const), thread, key, reload: fc.boolean() }),
  },
  { weight: 6, arbitrary: fc.record({ act: fc.constant('store' as const), thread, load: fc.nat({ max: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant('start purge' as const),
      thread,
      prefix: fc.constantFrom(...PREFIXES),
      bytes: fc.constantFrom(0, 8, 1000),
    }),
  },
  { weight: 8, arbitrary: fc.record({ act: fc.constant('step' as const), purge: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('purge' as const), thread, key }) },
);

interface Load {
  readonly id: EntryId;
  readonly lease: Lease;
  /** Number of the action that began it. */
  readonly began: number;
}

/** What a key may have in the cache: values of loads that began at the given actions, or nothing. */
class PlainCache {
  readonly #began = new Map<string, number>();
  /** Names of keys whose value may have been ended by a purge that began before their load. */
  readonly #uncertain = new Set<string>();
  /** When the last purge of each key that is complete began. */
  readonly #purged = new Map<string, number>();

  stored({ id, began }: Load): void {
    ok(began > (this.#purged.get(nameOf(id)) ?? -1));
    this.#began.set(nameOf(id), began);
    this.#uncertain.delete(nameOf(id));
  }

  remove(id: EntryId): void {
    this.#began.delete(nameOf(id));
  }

  /** A step was made of a purge that began at action `since`: it may have ended newer values as well. */
  stepped(ids: readonly EntryId[], since: number, isDone: boolean): void {
    for (const id of ids) {
      if (isDone) this.#purged.set(nameOf(id), Math.max(since, this.#purged.get(nameOf(id)) ?? -1));
      const began = this.#began.get(nameOf(id));
      if (began === undefined) continue;
      if (isDone && began < since) this.remove(id);
      else this.#uncertain.add(nameOf(id));
    }
  }

  /** Compares what is cached: the action at which the load of a value began; undefined without a value. */
  compare(id: EntryId, began: number | undefined): void {
    if (began === undefined && this.#uncertain.has(nameOf(id))) this.remove(id);
    deepStrictEqual([nameOf(id), began], [nameOf(id), this.#began.get(nameOf(id))]);
  }
}

describe('Purges of matching keys against a plain Map', () => {
  it('end what was there when they began, and what loads of that time store, whatever the threads do meanwhile', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(fc.array(action, { minLength: 20, maxLength: 120, size: 'max' }), (actions) => {
        const first = SharedLru.create({ ...LIMITS, capacity: 50 }, 1, () => 1000);
        const threads = [first, ...[2, 3].map((id) => SharedLru.attach(first.buffer, id, () => 1000))];
        const plain = new PlainCache();
        const loads: Load[] = [];
        const purges: { readonly step: () => boolean; readonly ids: EntryId[]; since: number | undefined }[] = [];
        let ended = 0;
        let counted = 0;
        for (const [at, action] of actions.entries()) {
          switch (action.act) {
            case 'load': {
              const id = KEYS[action.key];
              const found = threads[action.thread].lookup(id, false, action.reload ? 0 : Infinity);
              if (found.kind === 'miss') loads.push({ id, lease: found.lease, began: at });
              break;
            }
            case 'store': {
              const load = loads.at(-1 - action.load);
              if (load === undefined) break;
              const value = Buffer.from(String(load.began));
              const outcome = threads[action.thread].commit(load.lease, value, [0, 0, 0], MINUTE_MS);
              if (outcome === 'stored') plain.stored(load);
              reached.add(outcome);
              break;
            }
            case 'start purge': {
              const purging = threads[action.thread].purgeMatching(startingWith(action.prefix, action.bytes));
              const ids = KEYS.filter((id) => keyOf(id).toString().startsWith(action.prefix));
              const step = (): boolean => {
                const before = purging.purged;
                const isDone = purging.step();
                counted += purging.purged - before;
                return isDone;
              };
              purges.push({ step, ids, since: undefined });
              break;
            }
            case 'step': {
              const purge = purges.at(-1 - action.purge);
              if (purge === undefined) break;
              if (purge.since === undefined) reached.add('begun');
              purge.since ??= at;
              const isDone = purge.step();
              plain.stepped(purge.ids, purge.since, isDone);
              if (isDone) purges.splice(purges.indexOf(purge), 1);
              reached.add(isDone ? 'done' : 'more');
              break;
            }
            case 'purge':
              ended += threads[action.thread].purge(keyOf(KEYS[action.key]));
              for (const id of KEYS) if (keyOf(id).equals(keyOf(KEYS[action.key]))) plain.remove(id);
              break;
          }
          checkInvariants(first.buffer);
          for (const id of KEYS) {
            const found = first.peek(id);
            plain.compare(id, found?.kind === 'hit' ? Number(found.value.toString()) : undefined);
          }
        }
        deepStrictEqual(first.stats().invalidations, ended + counted);
      }),
      { numRuns: RUNS },
    );
    ok(['stored', 'void', 'begun', 'more', 'done'].every((what) => reached.has(what)));
  });
});
