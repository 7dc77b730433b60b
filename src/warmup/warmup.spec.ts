import { beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { WarmUpBatch, WarmUpEnd } from '../cache/read-through/load-coalescer.ts';
import { InstanceMemory } from '../instance/instance-memory.ts';
import { WarmupState } from '../instance/warmup-state.ts';
import type { Query } from '../redis/query.ts';
import { Warmup, type WarmupParts } from './warmup.ts';
import { MAX_BATCH_LOADS, WarmupPace } from './warmup-pace.ts';

/** Milliseconds that a batch takes. */
const BATCH_MS = 4;

let now: number;
let state: WarmupState;
let log: string[];
let batches: { readonly at: number; readonly names: string[] }[];
let isRedisUp: boolean;
let canStore: boolean;
/** How the load of a key ends. */
let endOf: (name: string, at: number) => Partial<WarmUpEnd> | undefined;
/** Called with the time whenever the warm-up waits. */
let onSleep: () => void;

beforeEach(() => {
  now = 1000;
  const memory = InstanceMemory.create();
  state = new WarmupState(memory);
  state.announce(0);
  state.claim(0);
  log = [];
  batches = [];
  isRedisUp = true;
  canStore = true;
  endOf = () => ({});
  onSleep = () => undefined;
});

function warmup(names: readonly string[], parts: Partial<WarmupParts> = {}): Warmup {
  let next = 0;
  state.total = names.length;
  return new Warmup({
    source: {
      entries: names.length,
      read: (count) => {
        const some = names.slice(next, next + count);
        next += some.length;
        return Promise.resolve(
          some.map((name) => ({
            key: Buffer.from(name),
            selector: Buffer.from(name === 'odd' ? '\0\x03DEL' : ''),
          })),
        );
      },
    },
    cache: { warmUp },
    redis: { check: () => Promise.resolve(isRedisUp ? { kind: 'ok' } : { kind: 'timeout' }) },
    coherence: {
      get canStore() {
        return canStore;
      },
    },
    access: { allowsKey: (key) => key.toString() !== 'forbidden' },
    state,
    clock: () => now,
    sleep: (ms) => {
      now += ms;
      onSleep();
      return Promise.resolve();
    },
    log: { log: (line) => void log.push(line), warn: (line) => void log.push(`warning: ${line}`) },
    ...{ capacity: 100_000, waitMs: 0 },
    ...parts,
  });
}

function warmUp(queries: readonly Query[]): WarmUpBatch {
  const at = now;
  batches.push({ at, names: queries.map(({ key }) => key.toString()) });
  const ends = queries.flatMap((query): WarmUpEnd[] => {
    const end = endOf(query.key.toString(), at);
    return end === undefined ? [] : [{ query, kind: 'value', bytes: 5, isStored: true, ...end }];
  });
  now += BATCH_MS;
  return { taken: queries.length, isFull: false, ends: Promise.resolve(ends) };
}

const many = (count: number): string[] => Array.from({ length: count }, (_, i) => `key ${i}`);
const loadedNames = (): string[] => batches.flatMap(({ names }) => names);

describe('the warm-up', () => {
  it('loads all entries once, in their order, and logs how they ended', async () => {
    endOf = (name) =>
      name === 'key 1'
        ? { kind: 'absent', isStored: false }
        : name === 'key 2'
          ? undefined
          : name === 'key 3'
            ? { kind: 'error-reply', isStored: false }
            : {};
    await warmup([...many(1000), 'odd', 'forbidden']).run();
    expect(loadedNames()).toEqual(many(1000));
    expect(state).toMatchObject({ current: 'complete', remaining: 0, isIncomplete: false });
    expect(log.at(-1)).toMatch(
      /^warm-up complete: 997 of 1002 entries loaded, 1 cached before, 1 missing, 1 failed, 2 skipped in [\d.]+ s$/,
    );
  });

  it('starts with few loads, because it does not know the size of values, and never has more than a batch in flight', async () => {
    await warmup(many(3000)).run();
    expect(batches[0].names).toHaveLength(4);
    for (const { names } of batches) expect(names.length).toBeLessThanOrEqual(MAX_BATCH_LOADS);
  });

  it('loads large values one by one', async () => {
    endOf = () => ({ bytes: 2 ** 20 });
    await warmup(many(20)).run();
    expect(batches.slice(1).every(({ names }) => names.length === 1)).toBe(true);
  });

  it('has loads in flight for at most half of the time', async () => {
    await warmup(many(5000)).run();
    expect(batches.length * BATCH_MS).toBeLessThanOrEqual((now - 1000) / 2 + BATCH_MS);
  });

  it('spreads its loads evenly over most of the time that readiness waits', async () => {
    await warmup(many(4000), { waitMs: 10_000 }).run();
    expect(now - 1000).toBeGreaterThan(7500);
    expect(now - 1000).toBeLessThan(8500);
    for (let second = 0; second < 7; second++) {
      const within = batches.filter(({ at }) => at >= 1000 + 1000 * second && at < 2000 + 1000 * second);
      const loads = within.reduce((sum, { names }) => sum + names.length, 0);
      expect(Math.abs(loads - 500)).toBeLessThanOrEqual(100);
    }
  });

  it('takes less time than readiness waits if there are few entries', async () => {
    await warmup(many(100), { waitMs: 600_000 }).run();
    expect(now - 1000).toBeLessThan(2000);
  });

  it('tries again soon while Redis is busy with other loads', async () => {
    let refusals = 30;
    await warmup(many(10), { cache: { warmUp: (queries) => (refusals-- > 0 ? undefined : warmUp(queries)) } }).run();
    expect(loadedNames()).toEqual(many(10));
    expect(now - 1000).toBeLessThan(3500);
  });

  it('ends when the cache is full', async () => {
    const cache = {
      warmUp: (queries: readonly Query[]) => ({ ...warmUp(queries.slice(0, 2)), taken: 2, isFull: true }),
    };
    await warmup(many(1000), { cache }).run();
    expect(loadedNames()).toHaveLength(2);
    expect(state).toMatchObject({ current: 'complete', remaining: 0 });
    expect(log.at(-1)).toMatch(/^warm-up complete, the cache is full: 2 of 1000 entries loaded in/);
  });

  it('waits for Redis before the first load, without loads that fail', async () => {
    isRedisUp = false;
    let sleeps = 0;
    onSleep = () => {
      if (sleeps < 5) expect(state.current).toBe('paused');
      isRedisUp = ++sleeps >= 5;
    };
    await warmup(many(3)).run();
    expect(loadedNames()).toEqual(many(3));
    expect(log.slice(0, 2)).toEqual(['warning: warm-up paused: Redis is not reachable', 'warm-up continues']);
  });

  it('waits until the invalidation stream is established, because nothing is stored before', async () => {
    canStore = false;
    onSleep = () => (canStore = true);
    await warmup(many(3)).run();
    expect(batches[0].at).toBe(2000);
    expect(log[0]).toBe('warning: warm-up paused: the invalidation stream is not established');
  });

  it('loads again what it could not because Redis was lost, in order', async () => {
    endOf = (_, at) => (at < 1500 ? { kind: 'unavailable', bytes: 0, isStored: false } : {});
    isRedisUp = true;
    const checks = [true, false, false];
    await warmup(many(6), {
      redis: { check: () => Promise.resolve((checks.shift() ?? true) ? { kind: 'ok' } : { kind: 'timeout' }) },
    }).run();
    expect(batches[0].names).toEqual(many(4));
    expect(batches.slice(1).flatMap(({ names }) => names)).toEqual(many(6));
    expect([state.entries('loaded'), state.entries('failed')]).toEqual([6, 0]);
  });

  it('counts loads as failed, and goes on, if Redis replies to others', async () => {
    endOf = (name) => (name === 'key 0' ? { kind: 'timeout', isStored: false } : {});
    await warmup(['key 0', 'key 1']).run();
    expect(loadedNames()).toEqual(['key 0', 'key 1']);
    expect([state.entries('loaded'), state.entries('failed')]).toEqual([1, 1]);
  });

  it('loads again what was not stored because the invalidation stream was lost', async () => {
    let isLost = true;
    endOf = () => {
      canStore = !isLost;
      isLost = false;
      return { isStored: canStore };
    };
    onSleep = () => (canStore = true);
    await warmup(['key 0']).run();
    expect(loadedNames()).toEqual(['key 0', 'key 0']);
    expect(state.entries('loaded')).toBe(1);
  });

  it('is stopped after ten minutes without success, and is incomplete', async () => {
    isRedisUp = false;
    await warmup(many(3)).run();
    expect(now).toBeGreaterThan(600_000);
    expect(state).toMatchObject({ current: 'stopped', remaining: 0, isIncomplete: true });
    expect(log.at(-1)).toMatch(/^warning: warm-up stopped, because nothing could be loaded for 10 minutes: 0 of 3/);
  });

  it('is incomplete if its thread exits before it has read the file, and not if the file cannot be used', () => {
    expect(state).toMatchObject({ current: 'loading', total: 0, remaining: 0, isIncomplete: true });
    expect(state.recoverFrom(1)).toBe(false);
    expect(state.recoverFrom(0)).toBe(true);
    expect(state).toMatchObject({ current: 'stopped', total: 0, remaining: 0, isIncomplete: true });
    state.total = 0;
    expect(state).toMatchObject({ current: 'stopped', isIncomplete: false });
  });

  it('stops between two batches, and is incomplete', async () => {
    const stopped = warmup(many(1000));
    endOf = () => {
      stopped.stop();
      return {};
    };
    await stopped.run();
    expect(batches).toHaveLength(1);
    expect(state).toMatchObject({ current: 'stopped', isIncomplete: true });
    expect(log.at(-1)).toMatch(/^warm-up stopped: 4 of 1000/);
  });

  it('logs its progress every five seconds', async () => {
    await warmup(many(4000), { waitMs: 25_000 }).run();
    const lines = log.filter((line) => /^warm-up: \d+ of 4000 entries loaded, \d+ remaining$/.test(line));
    expect(lines.length).toBeGreaterThanOrEqual(3);
    expect(lines.length).toBeLessThanOrEqual(4);
  });
});

describe('the pace of a warm-up', () => {
  it('is never ahead of its schedule by more than a batch, whatever a batch takes, and ends in time if Redis is fast', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 1000, max: 60_000 }),
        fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 50 }),
        (total, spreadMs, durations) => {
          let time = 5;
          const pace = new WarmupPace(total, spreadMs, time);
          const perMs = Math.max(0.1, total / spreadMs);
          let inFlightMs = 0;
          let started = 0;
          for (let i = 0; started < total; i++) {
            const due = pace.due(time);
            if (due === 0) {
              time += pace.delayMs(time);
              continue;
            }
            const loads = Math.min(due, total - started);
            pace.start(loads, time);
            started += loads;
            expect(started).toBeLessThanOrEqual((time - 5) * perMs + Math.min(MAX_BATCH_LOADS, Math.ceil(perMs * 100)));
            const tookMs = durations[i % durations.length];
            inFlightMs += tookMs;
            time += tookMs;
            pace.end(time);
          }
          // Half of the time is for others; the rest suffices for the loads if a batch is short.
          if (2 * inFlightMs + 500 < spreadMs) expect(time - 5).toBeLessThanOrEqual(spreadMs + 100);
        },
      ),
      { numRuns: 300 },
    );
  });
});
