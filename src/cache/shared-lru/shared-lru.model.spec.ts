import { deepStrictEqual } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { keysOfOneBucket, keysOfOneHash } from './index/colliding-keys.spec-support.ts';
import type { Etag } from './etag.ts';
import { TICK_MS } from './clock.ts';
import { HitBuffer } from './hit-buffer.ts';
import { type LruLimits, LruMemory, RING_TOUCHES, SPARE_RINGS } from './memory/layout.ts';
import {
  type EntryId,
  type FillResult,
  LOAD_RESULTS,
  type Lease,
  type LoadResult,
  type Lookup,
  type Place,
} from './cache-types.ts';
import type { VisitId } from './walks/recency-walk.ts';
import {
  type ReferenceLease,
  type ReferenceLookup,
  ReferenceLru,
  type ReferenceStep,
} from './reference-lru.spec-support.ts';
import { checkInvariants, entriesByRecency, keyOf, nameOf } from './shared-memory.spec-support.ts';
import { SharedLru } from './shared-lru.ts';

/** FC_SEED and FC_PATH repeat a failure printed by fast-check; FC_RUNS is the number of runs. */
const RUNS = Number(process.env['FC_RUNS'] ?? 4000);
const REPEAT = {
  ...(process.env['FC_SEED'] !== undefined && { seed: Number(process.env['FC_SEED']) }),
  ...(process.env['FC_PATH'] !== undefined && { path: process.env['FC_PATH'] }),
};
/** Threads that act in turn. */
const THREADS = 5;
const MINUTES_MS = 180_000 * Math.ceil(RUNS / 4000);

/** Bytes of a chunk in which values are copied; the lock is released in between. */
const STEP = 16 * 1024;
const ID_LIMIT = 64 * 1024;
/** Fixed, so that the colliding keys are known. */
const SEEDS = [0x1f2e3d4c, 0x5b6a7988] as const;
const BUCKETS = 1024;

const of = (key: Buffer | string, selector: Buffer | string): EntryId => ({
  id: Buffer.concat([Buffer.from(key), Buffer.from(selector)]),
  selectorLength: selector.length,
});
const get = (key: Buffer | string): EntryId => of(key, '');
const KEYS_OF_ONE_HASH = [
  ...keysOfOneHash('short', SEEDS),
  ...keysOfOneHash('beyond the slot '.padEnd(160, '.'), SEEDS),
];
const SELECTOR_LIMIT = 16_383;

const IDS: readonly EntryId[] = [
  ...[get('a'), of('a', 'x'), of('a', 'y'), get('b'), of('b', 'x'), get(Buffer.alloc(0))],
  // The same bytes, with another end of the key.
  ...[get('ax'), of('', 'ax'), of('', 'x'), of('b', 'y'), of('a', 'z')],
  get(Buffer.from([0])),
  get(Buffer.from([0, 0xff, 0x80, 0x0a])),
  ...keysOfOneBucket(4, BUCKETS, SEEDS).flatMap((key) => [get(key), of(key, 'x')]),
  ...KEYS_OF_ONE_HASH.flatMap((key) => [get(key), of(key, 'x'), of(key, 'y')]),
  // One less, as many, and one more than fit in the slot; the same for the first block.
  ...[127, 128, 129, 191, 192, 193, 1000].map((length) => get(Buffer.alloc(length, 'k'))),
  ...[127, 128, 1000].map((length) => of(Buffer.alloc(length, 'k'), Buffer.alloc(length, 'x'))),
];
const HUGE_IDS = [
  ...[ID_LIMIT - 1, ID_LIMIT, ID_LIMIT + 1].map((length) => get(Buffer.alloc(length, 'h'))),
  ...[ID_LIMIT - 1, ID_LIMIT].map((length) => of(Buffer.alloc(length, 'h'), 'x')),
  ...[SELECTOR_LIMIT, SELECTOR_LIMIT + 1].map((length) => of('a', Buffer.alloc(length, 'x'))),
  // Its lengths without their limits would be those of the key "a", with a selector.
  get(Buffer.alloc(2 ** 17 + 1, 'a')),
];
/** Ids whose entries are made of those of other ids, by the index of the latter. */
const VARIANTS: ReadonlyMap<number, readonly number[]> = new Map([
  [0, [1, 2]],
  [3, [4]],
]);
const NOISE = randomBytes(64 * 1024);
/** Bytes before and after an id in the buffer that it is a part of. */
const MARGIN = Buffer.from('kkk');
const HIT = new HitBuffer();

type Plain =
  | { readonly act: 'read'; readonly key: number; readonly maxAgeMs: number }
  /** Reads the key stored last, once a share of its TTL has elapsed. */
  | {
      readonly act: 'read again';
      readonly percent: number;
      readonly maxAgeMs: number;
      readonly how: 'with memory' | 'without memory' | 'if stale';
    }
  | { readonly act: 'read if cached'; readonly key: number; readonly maxAgeMs: number }
  | { readonly act: 'read if stale'; readonly key: number }
  | { readonly act: 'hit'; readonly key: number }
  | {
      readonly act: 'read and fill';
      readonly key: number;
      readonly maxAgeMs: number;
      readonly size: number;
      readonly lifetimeMs: number;
      readonly hardTtlMs: number;
    }
  | {
      readonly act: 'fill';
      readonly lease: number;
      readonly size: number;
      readonly lifetimeMs: number;
      readonly hardTtlMs: number;
    }
  | { readonly act: 'fill missing'; readonly lease: number; readonly lifetimeMs: number; readonly place: Place }
  /** Loads that nobody waits for, as the least recently used ones; they end in another order than they were started in. */
  | {
      readonly act: 'fill as last';
      readonly keys: readonly number[];
      readonly order: readonly number[];
      readonly size: number;
      readonly lifetimeMs: number;
      readonly hardTtlMs: number;
      readonly hit: number;
    }
  /** Makes a variant of an entry. */
  | { readonly act: 'fill variant'; readonly source: number; readonly variant: number; readonly size: number }
  /** A load without a lease ends, which was requested `ago` milliseconds ago and has loaded the same value or another one. */
  | {
      readonly act: 'drop outdated';
      readonly key: number;
      readonly ago: number;
      readonly loaded: 'same' | 'other' | 'none';
    }
  | { readonly act: 'walk' }
  | { readonly act: 'release'; readonly lease: number; readonly result: LoadResult }
  | { readonly act: 'purge'; readonly key: number }
  | { readonly act: 'flush' }
  | { readonly act: 'expire all' }
  | { readonly act: 'trust'; readonly ms: number }
  | { readonly act: 'wait'; readonly ms: number };
/** A fill of several chunks, and the action of the other thread before the second chunk. */
interface Interrupted {
  readonly act: 'interrupted fill';
  readonly lease: number;
  readonly size: number;
  readonly lifetimeMs: number;
  readonly hardTtlMs: number;
  readonly by: readonly Plain[];
}
interface Filling {
  readonly size: number;
  readonly lifetimeMs: number;
  readonly hardTtlMs: number;
  readonly place?: Place;
}
interface Command {
  /** Index of the thread; the last one has no ring of touches. */
  readonly thread: number;
  readonly command: Plain | Interrupted | Burst;
}
/** Hits of many threads in turn, more than fit in their rings. */
interface Burst {
  readonly act: 'burst';
  readonly hits: readonly { readonly thread: number; readonly key: number }[];
  readonly times: number;
}

const key = fc.oneof(
  { weight: 30, arbitrary: fc.nat({ max: 5 }) },
  { weight: 20, arbitrary: fc.nat({ max: IDS.length - 1 }) },
  { weight: 1, arbitrary: fc.integer({ min: IDS.length, max: IDS.length + HUGE_IDS.length - 1 }) },
);
/** Index from the newest lease backwards; most older ones have ended. */
const lease = fc.nat({ max: 5 });
const lifetimeMs = fc.integer({ min: 1, max: 40 });
const largeSize = fc.oneof(
  fc.constantFrom(STEP - 1, STEP, STEP + 1, 2 * STEP, 2 * STEP + 1),
  fc.integer({ min: STEP + 1, max: 45_000 }),
);
const size = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 20 }) },
  { weight: 4, arbitrary: fc.nat({ max: 400 }) },
  { weight: 2, arbitrary: largeSize },
);
const hardTtlMs = fc.oneof(
  { weight: 3, arbitrary: fc.constant(Infinity) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 80 }) },
);
const maxAgeMs = fc.oneof(
  { weight: 6, arbitrary: fc.constant(Infinity) },
  { weight: 2, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 20 }) },
);
const result = fc.constantFrom(...LOAD_RESULTS);
const place = fc.constantFrom<Place[]>('first', 'last');
const plain: fc.Arbitrary<Plain> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ act: fc.constant('read' as const), key, maxAgeMs }) },
  {
    weight: 8,
    arbitrary: fc.record({
      act: fc.constant('read again' as const),
      percent: fc.integer({ min: 50, max: 200 }),
      maxAgeMs,
      how: fc.constantFrom('with memory', 'without memory', 'if stale'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('read if cached' as const), key, maxAgeMs }) },
  { weight: 6, arbitrary: fc.record({ act: fc.constant('read if stale' as const), key }) },
  { weight: 6, arbitrary: fc.record({ act: fc.constant('hit' as const), key }) },
  {
    weight: 12,
    arbitrary: fc.record({ act: fc.constant('read and fill' as const), key, maxAgeMs, size, lifetimeMs, hardTtlMs }),
  },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('fill' as const), lease, size, lifetimeMs, hardTtlMs }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('fill missing' as const), lease, lifetimeMs, place }) },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('fill as last' as const),
      keys: fc.array(key, { minLength: 1, maxLength: 4 }),
      order: fc.array(fc.nat({ max: 3 }), { minLength: 4, maxLength: 4 }),
      ...{ size, lifetimeMs, hardTtlMs, hit: fc.nat({ max: 8 }) },
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      act: fc.constant('fill variant' as const),
      source: fc.constantFrom(...VARIANTS.keys()),
      variant: fc.nat({ max: 1 }),
      size,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      act: fc.constant('drop outdated' as const),
      key: fc.oneof(fc.constantFrom(...VARIANTS.keys()), key),
      ago: fc.constantFrom(0, 1, 5, 20),
      loaded: fc.constantFrom('same', 'other', 'none'),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ act: 'walk' as const }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('release' as const), lease, result }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('purge' as const), key }) },
  { weight: 1, arbitrary: fc.constant({ act: 'flush' as const }) },
  { weight: 1, arbitrary: fc.constant({ act: 'expire all' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ act: fc.constant('trust' as const), ms: fc.constantFrom(0, 5, 20, Infinity, Infinity) }),
  },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 15 }) }) },
);
const interrupted: fc.Arbitrary<Interrupted> = fc.record({
  act: fc.constant('interrupted fill' as const),
  lease,
  size: largeSize,
  lifetimeMs,
  hardTtlMs,
  by: fc.array(plain, { minLength: 1, maxLength: 3 }),
});
const thread = fc.nat({ max: THREADS - 1 });
const burst: fc.Arbitrary<Burst> = fc.record({
  act: fc.constant('burst' as const),
  hits: fc.array(fc.record({ thread, key: fc.nat({ max: 8 }) }), { minLength: 1, maxLength: 12 }),
  times: fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 5 }) }, { weight: 1, arbitrary: fc.nat({ max: 100 }) }),
});
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.record({
    thread,
    command: fc.oneof(
      { weight: 10, arbitrary: plain },
      { weight: 1, arbitrary: interrupted },
      { weight: 1, arbitrary: burst },
    ),
  }),
  { minLength: 1, maxLength: 60, size: 'max' },
);
const limits: fc.Arbitrary<LruLimits> = fc.record({
  capacity: fc.integer({ min: 1, max: 6 }),
  maxBytes: fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: STEP, max: 200_000 })),
  maxValueBytes: fc.oneof(fc.nat({ max: 500 }), fc.constantFrom(STEP, 40_000, 64_000)),
  // 260 leases suffice for a key of 64 KiB.
  maxLeases: fc.constantFrom(1, 2, 3, 260),
  leaseMs: fc.integer({ min: 1, max: 30 }),
  staleMs: fc.constantFrom(0, 5, 20, 40, 1000),
  revalidateMs: fc.constantFrom(0, 5, 20, 40, 1000),
  refreshAhead: fc.constantFrom(0, 0.2, 0.5, 0.9),
  // Threads of the test take the spare rings, too.
  maxThreads: fc.constant(THREADS - 1 - SPARE_RINGS),
  // They must not change what is cached.
  hotKeys: fc.boolean(),
});

/** A lease that was granted, in cache and model. */
interface HeldLease {
  readonly real: Lease;
  readonly reference: ReferenceLease;
  readonly holder: SharedLru;
  /** Whether its entry is served meanwhile. */
  readonly isRefresh: boolean;
}

/** Results of a look-up with a lease. */
const GRANTING: ReadonlySet<Lookup['kind']> = new Set(['miss', 'refresh']);

/** Model and cache, mapped by several threads, and the shared clock. */
class Session {
  readonly reference: ReferenceLru;
  readonly reached = new Set<string>();
  readonly #buffer: SharedArrayBuffer;
  readonly #threads: readonly SharedLru[];
  readonly #leases: HeldLease[] = [];
  #now = 0;
  #last = 0;
  #generation = 0;
  /** The value stored last. */
  #stored: { readonly id: EntryId; readonly at: number; readonly lifetimeMs: number } | undefined;
  /** The cache reads the clock before every critical section: the place for an action in between. */
  #beforeStep: (() => void) | undefined;

  constructor(lruLimits: LruLimits) {
    this.reference = new ReferenceLru(lruLimits);
    this.#buffer = LruMemory.reserve(lruLimits, SEEDS).buffer;
    const clock = (): number => {
      this.#beforeStep?.();
      return this.#now;
    };
    this.#threads = Array.from({ length: THREADS }, (_, i) => SharedLru.attach(this.#buffer, i + 1, clock));
  }

  run({ thread: by, command }: Command): void {
    const lru = this.#switchTo(by);
    switch (command.act) {
      case 'read':
        this.#read(lru, idAt(command.key), command.maxAgeMs);
        break;
      case 'read again': {
        if (this.#stored === undefined) return;
        const { id, at, lifetimeMs: lifetime } = this.#stored;
        this.#now = Math.max(this.#now, at + Math.floor((lifetime * command.percent) / 100));
        if (command.how === 'if stale') this.#readIfStale(lru, id);
        else this.#read(lru, id, command.maxAgeMs, command.how === 'with memory');
        break;
      }
      case 'read if cached':
        this.#readIfHeld(lru, idAt(command.key), command.maxAgeMs);
        break;
      case 'read if stale':
        this.#readIfStale(lru, idAt(command.key));
        break;
      case 'hit':
        this.#hit(lru, idAt(command.key));
        break;
      case 'read and fill':
        if (GRANTING.has(this.#read(lru, idAt(command.key), command.maxAgeMs))) this.#fill(lru, 0, command);
        break;
      case 'fill':
        this.#fill(lru, command.lease, command);
        break;
      case 'interrupted fill':
        this.#fill(lru, command.lease, command, () => {
          this.reached.add('interrupted');
          for (const other of command.by) this.run({ thread: (by + 1) % THREADS, command: other });
        });
        break;
      case 'burst':
        for (let time = 0; time < command.times; time++) {
          for (const hit of command.hits) this.#hit(this.#switchTo(hit.thread), idAt(hit.key));
        }
        if (command.times * command.hits.length > RING_TOUCHES) this.reached.add('more touches than fit');
        break;
      case 'fill missing': {
        const pair = this.#leases.at(-1 - command.lease);
        if (pair === undefined) return;
        const { lifetimeMs: lifetime, place: where } = command;
        const variants = variantsOf(pair.reference.id);
        const result = lru.commitNegative(pair.real, lifetime, where, variants);
        deepStrictEqual(result, this.reference.fillMissing(pair.reference, this.#now, lifetime, where, variants));
        break;
      }
      case 'fill as last':
        this.#fillAsLast(lru, command);
        break;
      case 'fill variant':
        this.#fillVariant(lru, command);
        break;
      case 'drop outdated': {
        const id = idAt(command.key);
        const cached = lru.describe(id)?.etag;
        const etag: Etag | undefined =
          command.loaded === 'none' ? undefined : command.loaded === 'same' ? cached : [++this.#generation, 0, 0];
        const requestedAt = this.#now - command.ago;
        lru.dropOutdated(id, etag, requestedAt, variantsOf(id));
        const isEnded = this.reference.dropOutdated(id, etag, requestedAt, this.#now, variantsOf(id));
        if (isEnded) this.reached.add(cached === undefined ? 'outdated variant' : 'outdated entry');
        break;
      }
      case 'walk':
        this.#walk(lru);
        break;
      case 'release': {
        const pair = this.#leases.at(-1 - command.lease);
        if (pair === undefined) return;
        if (pair.isRefresh && !pair.reference.ended) this.reached.add('refresh failed');
        const variants = variantsOf(pair.reference.id);
        const isReleased = lru.abandon(pair.real, command.result, variants);
        deepStrictEqual(isReleased, this.reference.release(pair.reference, command.result, this.#now, variants));
        break;
      }
      case 'purge': {
        const bytes = keyOf(idAt(command.key));
        const { leases } = this.reference.stats;
        const purged = lru.purge(bytes);
        deepStrictEqual(purged, this.reference.purge(bytes, this.#now));
        if (purged > 1) this.reached.add('several entries purged');
        if (leases - this.reference.stats.leases > 1) this.reached.add('several leases voided by a purge');
        break;
      }
      case 'flush':
        deepStrictEqual(lru.flush(), this.reference.flush());
        break;
      case 'expire all':
        lru.expireAll();
        this.reference.expireAll(this.#now);
        break;
      case 'trust':
        lru.trustUntil(this.#now + command.ms);
        this.reference.trustedUntil = this.#now + command.ms;
        break;
      case 'wait':
        this.#now += command.ms;
        break;
    }
    this.#compare(lru);
  }

  /** Lets time go by when another thread acts, because the order of their reads is that of their times. */
  #switchTo(index: number): SharedLru {
    if (index !== this.#last) this.#now += TICK_MS;
    this.#last = index;
    return this.#threads[index];
  }

  #hit(lru: SharedLru, id: EntryId): void {
    const held = this.reference.holds(id, this.#now, STEP);
    const found = lru.tryGetInto(
      Buffer.concat([MARGIN, id.id, MARGIN]),
      MARGIN.length,
      MARGIN.length + id.id.length,
      HIT,
      id.selectorLength,
    );
    // The thread without a ring uses `lookup`.
    deepStrictEqual(found, held && lru !== this.#threads[THREADS - 1]);
    if (!found) return;
    this.reached.add('hit without objects');
    const { bytes: value, length, etag, ageMs, lifetimeMs: lifetime } = HIT;
    deepStrictEqual(
      { kind: 'hit', value: Buffer.from(value.subarray(0, length)), etag: [...etag], ageMs, lifetimeMs: lifetime },
      withoutFreshness(this.reference.lookup(id, this.#now, Infinity)),
    );
  }

  #readIfHeld(lru: SharedLru, id: EntryId, maxAge: number): void {
    const found = lru.peek(id, maxAge);
    deepStrictEqual(found, this.reference.peek(id, this.#now, maxAge));
    if (found !== undefined) this.reached.add('cached');
  }

  #readIfStale(lru: SharedLru, id: EntryId): void {
    const found = lru.getStale(id);
    deepStrictEqual(found, this.reference.stale(id, this.#now));
    if (found === undefined) return;
    this.reached.add('stale');
    if (found.value.length > STEP) this.reached.add('large and stale');
  }

  /** @param hasMemory whether there is memory for a copy of a value of more than STEP bytes. */
  #read(lru: SharedLru, id: EntryId, maxAge: number, hasMemory = true): Lookup['kind'] {
    const found = lru.lookup(id, false, maxAge, () => hasMemory);
    const expected = this.reference.lookup(id, this.#now, maxAge, hasMemory ? Infinity : STEP);
    this.reached.add(found.kind);
    deepStrictEqual(found.kind, expected.kind);
    switch (expected.kind) {
      case 'loading': {
        // It must be the lease of the loading thread.
        const held = this.#leases.find(({ reference }) => reference === expected.lease);
        const own = held?.holder === lru;
        deepStrictEqual(found, { kind: 'loading', lease: held?.real, own, forward: expected.forward });
        this.reached.add(`${expected.forward} in flight`);
        if (held?.isRefresh) this.reached.add('request joins a refresh');
        break;
      }
      case 'miss':
        if (found.kind === 'miss') {
          deepStrictEqual(found.forward, expected.forward);
          this.#leases.push({ real: found.lease, reference: expected.lease, holder: lru, isRefresh: false });
        }
        break;
      case 'refresh':
        if (found.kind === 'refresh') {
          deepStrictEqual(found.found, expected.found);
          this.reached.add(found.found.kind === 'hit' ? 'refresh ahead' : 'refresh of an expired value');
          this.#leases.push({ real: found.lease, reference: expected.lease, holder: lru, isRefresh: true });
        }
        break;
      case 'buffer-full':
        deepStrictEqual({ ...found, released: expected.released }, expected);
        if (expected.released) this.reached.add('refresh without memory');
        break;
      case 'hit':
      case 'missing':
      case 'revalidating':
      case 'unleased':
        deepStrictEqual(found, expected);
    }
    return found.kind;
  }

  #fillAsLast(lru: SharedLru, command: Extract<Plain, { act: 'fill as last' }>): void {
    const started: { readonly id: EntryId; readonly lease: Lease; readonly at: number }[] = [];
    for (const id of command.keys.map(idAt)) {
      const lease = lru.leaseUncached(id);
      const expected = this.reference.leaseUncached(id, this.#now);
      if (typeof expected === 'string' || typeof lease === 'string') {
        deepStrictEqual(lease, expected);
        if (typeof expected === 'string') this.reached.add(expected);
      } else {
        this.#leases.push({ real: lease, reference: expected, holder: lru, isRefresh: false });
        started.push({ id, lease, at: this.#leases.length });
      }
    }
    const ends = started.map((load, i) => ({ ...load, order: command.order[i] })).sort((a, b) => a.order - b.order);
    const stored = new Set<Lease>();
    for (const { at, lease: real } of ends) {
      if (this.#fill(lru, this.#leases.length - at, { ...command, place: 'last' }) === 'stored') stored.add(real);
      this.#hit(lru, idAt(command.hit));
    }
    const inOrder = started.filter(({ lease: real }) => stored.has(real));
    lru.reorderLast(inOrder.map(({ lease: real }) => real));
    this.reference.reorderLast(inOrder.map(({ id }) => id));
    if (inOrder.length > 1) this.reached.add('stored as the last ones');
  }

  /** Makes a variant of an entry, in one step for the model: no other thread acts between its chunks. */
  #fillVariant(lru: SharedLru, { source, variant, size: bytes }: Extract<Plain, { act: 'fill variant' }>): void {
    const variants = variantsOf(idAt(source));
    const id = variants[variant % variants.length];
    const found = lru.lookup(id, true, 0);
    const expected = this.reference.lookup(id, this.#now, 0, Infinity, true);
    deepStrictEqual(found.kind, expected.kind);
    if (found.kind !== 'miss' || expected.kind !== 'miss') return;
    this.#leases.push({ real: found.lease, reference: expected.lease, holder: lru, isRefresh: false });
    const described = lru.describe(idAt(source));
    const entry = this.reference.describe(idAt(source), this.#now);
    deepStrictEqual(described?.etag, entry?.etag);
    if (described === undefined || entry === undefined) return;
    deepStrictEqual([described.lifetime.stored, described.lifetime.expires], [entry.stored, entry.until]);
    const value = NOISE.subarray(0, bytes);
    const etag: Etag = [++this.#generation, 1, bytes];
    let result: ReferenceStep = 'more';
    for (let start = 0; result === 'more'; start += STEP) {
      const end = Math.min(bytes, start + STEP);
      result = this.reference.fill(expected.lease, value, start, end, etag, this.#now, 0, 0, 'first', [], entry);
    }
    deepStrictEqual(lru.commitVariant(found.lease, value, etag, described.lifetime), result);
    this.reached.add(`variant ${result}`);
  }

  #walk(lru: SharedLru): void {
    const names: string[] = [];
    const walk = lru.walkByRecency();
    const visit: VisitId = (bytes, from, to, selectorLength) =>
      void names.push(nameOf({ id: Buffer.from(bytes.subarray(from, to)), selectorLength }));
    while (walk.tryStep(visit) !== 'done');
    deepStrictEqual(names, this.reference.namesByRecency(this.#now));
    if (names.length > 1) this.reached.add('walked');
  }

  #fill(
    lru: SharedLru,
    leaseBack: number,
    { size: bytes, place: where = 'first', ...times }: Filling,
    interrupt?: () => void,
  ): FillResult | undefined {
    const pair = this.#leases.at(-1 - leaseBack);
    if (pair === undefined) return undefined;
    // A value that expires with its key must not be kept longer.
    const kept = times.hardTtlMs;
    const lifetime = Math.min(times.lifetimeMs, kept);
    const generation = ++this.#generation;
    // Each generation has another part of the noise, so a mixture of two values equals neither.
    const value = NOISE.subarray(generation, generation + bytes);
    const etag: Etag = [generation, -generation, bytes];
    let start = 0;
    let expected: ReferenceStep = 'more';
    const variants = variantsOf(pair.reference.id);
    const cached = variants.filter((id) => this.reference.describe(id, this.#now) !== undefined);
    const step = (): void => {
      const end = Math.min(bytes, start + STEP);
      expected = this.reference.fill(
        pair.reference,
        value,
        start,
        end,
        etag,
        this.#now,
        lifetime,
        kept,
        where,
        variants,
      );
      start = end;
    };
    this.#beforeStep = () => {
      if (start === STEP && interrupt !== undefined) {
        const beforeStep = this.#beforeStep;
        this.#beforeStep = undefined;
        interrupt();
        this.#beforeStep = beforeStep;
      }
      step();
    };
    const result = lru.commit(pair.real, value, etag, lifetime, kept, where, variants);
    this.#beforeStep = undefined;
    if (result === 'stored') this.#stored = { id: pair.reference.id, at: this.#now, lifetimeMs: lifetime };
    this.reached.add(pair.isRefresh ? `refresh ${result}` : result);
    if (result !== 'void' && cached.length > 0) this.reached.add(`variants ended: ${result}`);
    deepStrictEqual(result, expected);
    return result;
  }

  #compare(lru: SharedLru): void {
    checkInvariants(this.#buffer);
    deepStrictEqual(entriesByRecency(this.#buffer), this.reference.entriesByRecency);
    deepStrictEqual(lru.stats(), this.reference.stats);
  }
}

/** Returns the ids of the variants of an entry. */
function variantsOf(id: EntryId): readonly EntryId[] {
  const indices = VARIANTS.get(IDS.findIndex((each) => nameOf(each) === nameOf(id))) ?? [];
  return indices.map(idAt);
}

function idAt(index: number): EntryId {
  return IDS[index] ?? HUGE_IDS[index - IDS.length];
}

/** The contents of a hit buffer, as an entry. */
function withoutFreshness(found: ReferenceLookup) {
  if (found.kind !== 'hit') return found;
  const { freshness, ...rest } = found;
  return { ...rest, ...freshness };
}

const INTERESTING_STATES = [
  ...['hit', 'missing', 'miss', 'loading', 'unleased', 'stored', 'void', 'uncacheable', 'interrupted'],
  ...['hit without objects', 'cached', 'stale', 'large and stale', 'stale in flight', 'request in flight'],
  ...['evictionsByCapacity', 'evictionsByBytes', 'expirations', 'invalidations', 'expiredLeases'],
  ...['refresh ahead', 'refresh of an expired value', 'revalidating', 'request joins a refresh', 'buffer-full'],
  ...['refresh stored', 'refresh void', 'refresh uncacheable', 'refresh failed', 'refresh without memory'],
  ...['full', 'refused', 'stored as the last ones', 'walked'],
  ...['variant stored', 'variant uncacheable', 'outdated entry', 'outdated variant'],
  ...['variants ended: stored', 'variants ended: uncacheable', 'variants ended: full'],
  ...['more touches than fit', 'several entries purged', 'several leases voided by a purge'],
];

describe('SharedLru against a model', () => {
  it(
    'behaves, counts and evicts like a Map, whatever the threads do in turn',
    () => {
      const reached = new Set<string>();
      const unreached = (): string[] => INTERESTING_STATES.filter((state) => !reached.has(state));
      const check = (numRuns: number): void =>
        fc.assert(
          fc.property(limits, commands, (lruLimits, sequence) => {
            const session = new Session(lruLimits);
            for (const command of sequence) session.run(command);
            for (const what of session.reached) reached.add(what);
            for (const [what, count] of Object.entries(session.reference.stats)) if (count > 0) reached.add(what);
          }),
          { numRuns, ...REPEAT },
        );
      check(RUNS);
      if (RUNS < 1000 || Object.keys(REPEAT).length > 0) return;
      // A model test that does not reach the interesting states proves nothing. The rarest is reached by one sequence in a
      // thousand, so the first runs miss it at times.
      for (let more = 0; unreached().length > 0 && more < 20; more++) check(1000);
      expect(unreached()).toEqual([]);
    },
    MINUTES_MS,
  );
});
