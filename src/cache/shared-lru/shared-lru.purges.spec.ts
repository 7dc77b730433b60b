import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type EntryId, type Lease, PurgeProgress } from './cache-types.ts';
import type { MatchingPurge } from './walks/matching-purge.ts';
import { SharedLru } from './shared-lru.ts';
import { checkInvariants } from './shared-memory.spec-support.ts';

const KEYS = ['a', 'ab'];
const SELECTORS = ['', ...Array.from({ length: 140 }, (_, i) => `s${i}`)];
const LIMITS = {
  ...{ capacity: 300, maxBytes: 2_000_000, maxValueBytes: 40_000, maxLeases: 200, leaseMs: 50 },
  ...{ staleMs: 40, revalidateMs: 30, refreshAhead: 0.3 },
};

type Operation =
  | { readonly kind: 'read' | 'stale'; readonly key: number; readonly from: number; readonly count: number }
  | {
      readonly kind: 'end';
      readonly at: number;
      readonly count: number;
      readonly how: 'commit' | 'large' | 'negative' | 'missing' | 'timeout';
    }
  | { readonly kind: 'purge' | 'select'; readonly key: number }
  | { readonly kind: 'step'; readonly at: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'flush' | 'expireAll' };

const key = fc.nat(KEYS.length - 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom('read' as const, 'read' as const, 'stale' as const),
      key,
      from: fc.nat(1),
      count: fc.constantFrom(1, 2, 2, 140),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      at: fc.nat(),
      count: fc.constantFrom(1, 300, 300),
      how: fc.constantFrom('commit', 'commit', 'commit', 'commit', 'commit', 'large', 'negative', 'missing', 'timeout'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('purge' as const, 'select' as const), key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('step' as const), at: fc.nat() }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 15, 15, 25) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('flush' as const, 'expireAll' as const) }) },
);

/** A purge in steps: no value whose load began before it may be served after it. */
interface Purge {
  readonly prefix: string;
  readonly isPrefix: boolean;
  /** Number of loads begun before its first step; undefined before that. */
  began: number | undefined;
  readonly step: () => boolean;
}

/** A cache whose loads and purges are made step by step. Values consist of the number of the load. */
class Cache {
  now = 1000;
  /** Number of loads begun. */
  loads = 0;
  readonly lru = SharedLru.create(LIMITS, 1, () => this.now);
  readonly leases: { readonly lease: Lease; readonly load: number }[] = [];
  readonly purges: Purge[] = [];
  /** For each key, the number of the last load whose value must not be served. */
  readonly purged = KEYS.map(() => 0);

  read(at: number, id: EntryId): void {
    const found = this.lru.lookup(id);
    if (found.kind === 'miss' || found.kind === 'refresh') this.leases.push({ lease: found.lease, load: ++this.loads });
    this.check(at, found.kind === 'refresh' ? found.found : found);
  }

  check(at: number, found: object | undefined): void {
    if (found === undefined || !('value' in found)) return;
    expect((found.value as Buffer).readUInt32LE()).toBeGreaterThan(this.purged[at]);
  }

  end(index: number, how: Extract<Operation, { kind: 'end' }>['how']): void {
    const [ended] = this.leases.splice(index, 1);
    const value = Buffer.alloc(how === 'large' ? 30_000 : 40);
    value.writeUInt32LE(ended.load);
    if (how === 'commit' || how === 'large') this.lru.commit(ended.lease, value, [1, 2, 3], 20, 50);
    else if (how === 'negative') this.lru.commitNegative(ended.lease, 20);
    else this.lru.abandon(ended.lease, how);
  }

  begin(at: number, isPrefix: boolean): void {
    const prefix = KEYS[at];
    const progress = new PurgeProgress();
    let selected: MatchingPurge | undefined;
    const matches = (bytes: Uint8Array, from: number, to: number): boolean =>
      Buffer.from(bytes.subarray(from, to)).toString().startsWith(prefix);
    const step = (): boolean => {
      if (!isPrefix) return this.lru.tryPurge(Buffer.from(prefix), progress) === 'done';
      selected ??= this.lru.purgeMatching({ keyBytesPerStep: 64, matches });
      return selected.tryStep() === 'done';
    };
    this.purges.push({ prefix, isPrefix, began: undefined, step });
  }

  step(index: number): void {
    const purge = this.purges[index];
    const began = (purge.began ??= this.loads);
    if (!purge.step()) return;
    this.purges.splice(index, 1);
    KEYS.forEach((each, at) => {
      const isPurged = purge.isPrefix ? each.startsWith(purge.prefix) : each === purge.prefix;
      if (isPurged) this.purged[at] = Math.max(this.purged[at], began);
    });
  }
}

function run(operations: readonly Operation[]): void {
  const cache = new Cache();
  const { lru } = cache;
  for (const each of operations) {
    switch (each.kind) {
      case 'read':
      case 'stale':
        for (let i = each.from; i < Math.min(SELECTORS.length, each.from + each.count); i++) {
          const selector = Buffer.from(SELECTORS[i]);
          const id = { id: Buffer.concat([Buffer.from(KEYS[each.key]), selector]), selectorLength: selector.length };
          if (each.kind === 'read') cache.read(each.key, id);
          else cache.check(each.key, lru.getStale(id));
        }
        break;
      case 'end':
        for (let i = 0; i < each.count && cache.leases.length > 0; i++)
          cache.end(each.at % cache.leases.length, each.how);
        break;
      case 'purge':
      case 'select':
        cache.begin(each.key, each.kind === 'select');
        break;
      case 'step':
        if (cache.purges.length > 0) cache.step(each.at % cache.purges.length);
        break;
      case 'wait':
        cache.now += each.ms;
        break;
      case 'flush':
        lru.flush();
        break;
      case 'expireAll':
        lru.expireAll();
    }
    if (each.kind === 'step') checkInvariants(lru.buffer);
  }
  // Nothing is left behind once all loads have ended and everything was purged.
  while (cache.leases.length > 0) cache.end(0, 'timeout');
  KEYS.forEach((_, at) => cache.begin(at, false));
  while (cache.purges.length > 0) cache.step(0);
  checkInvariants(lru.buffer);
  expect(lru.stats()).toMatchObject({ entries: 0, leases: 0, bytes: 0 });
}

describe('SharedLru while entries are refreshed and keys are purged in steps', () => {
  it('never serves a value whose load began before a purge of its key that has ended', () => {
    fc.assert(fc.property(fc.array(operation, { minLength: 10, maxLength: 100, size: 'max' }), run), { numRuns: 150 });
  });
});
