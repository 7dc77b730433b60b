import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { variantIdOf } from '../cache/variants/variant-id.ts';
import { Query } from '../redis/query.ts';
import { Header } from '../cache/shared-lru/memory/layout.ts';
import { ENTRIES_PER_STEP } from '../cache/shared-lru/walks/recency-walk.ts';
import { SharedLru } from '../cache/shared-lru/shared-lru.ts';
import { saveKeys } from './save-keys.ts';
import { WarmupFile } from './warmup-file.ts';

const limits = { capacity: 2000, maxBytes: 2 ** 24, maxValueBytes: 1000, maxLeases: 9, leaseMs: 2000, staleMs: 0 };
let directory: string;
let path: string;
let now: number;
let lru: SharedLru;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'save-keys-'));
  path = join(directory, 'keys');
  now = 1000;
  lru = SharedLru.create({ ...limits, revalidateMs: 100 }, 1, () => now);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function store(query: Query, lifetimeMs = 1000, hardTtlMs = Infinity): void {
  const found = lru.lookup(query);
  if (found.kind !== 'miss') throw new Error(found.kind);
  lru.commit(found.lease, Buffer.from('value'), [0, 0, 0], lifetimeMs, hardTtlMs);
}

const get = (name: string): Query => Query.get(Buffer.from(name));

async function saved(): Promise<string[]> {
  const file = await WarmupFile.open(path);
  if (file === undefined) throw new Error('no file');
  const entries = await file.read(file.entries);
  await file.close();
  return entries.map(({ key, selector }) => `${key.toString()}${selector.toString('latin1')}`);
}

describe('saving the keys of a cache', () => {
  it('writes those of all steps, most recently read first, with their selectors', async () => {
    const names = Array.from({ length: 3 * ENTRIES_PER_STEP + 1 }, (_, i) => `key ${i}`);
    names.forEach((name) => store(get(name)));
    const hash = Query.of(Buffer.from('hash'), [Buffer.from('HGETALL')]);
    store(hash);
    lru.lookup(get('key 3'));
    await expect(saveKeys(lru, path)).resolves.toMatchObject({ entries: names.length + 1, isCut: false });
    const others = names.filter((name) => name !== 'key 3').reverse();
    expect(await saved()).toEqual(['key 3', 'hash\0\x07HGETALL', ...others]);
  });

  it('leaves out entries whose TTL has elapsed, but not those that are served while they are reloaded', async () => {
    store(get('expired'), 100);
    store(get('served'), 190);
    store(get('its key has expired'), 190, 190);
    store(get('fresh'), 1000);
    now += 200;
    await saveKeys(lru, path);
    expect(await saved()).toEqual(['fresh', 'served', 'expired'].slice(0, 2));
  });

  it('writes what a variant was made of, in its place', async () => {
    const hash = Query.of(Buffer.from('hash'), [Buffer.from('HGETALL')], { id: 2, render: () => undefined });
    for (const query of [get('a'), hash]) {
      const found = lru.lookup(variantIdOf(query, 1));
      if (found.kind !== 'miss') throw new Error(found.kind);
      lru.commit(found.lease, Buffer.from('value'), [0, 0, 0], 1000);
    }
    await saveKeys(lru, path);
    expect(await saved()).toEqual(['hash\x02\x07HGETALL', 'a']);
  });

  it('includes entries that were expired because invalidations may have been lost', async () => {
    store(get('a'));
    lru.expireAll();
    await saveKeys(lru, path);
    expect(await saved()).toEqual(['a']);
  });

  it('writes an empty file for an empty cache', async () => {
    await expect(saveKeys(lru, path)).resolves.toMatchObject({ entries: 0 });
    expect(await saved()).toEqual([]);
  });

  it('waits for the lock of the cache', async () => {
    store(get('a'));
    const header = new Int32Array(lru.buffer);
    header[Header.LOCK] = 7;
    let looks = 0;
    // It looks at the time once before the first attempt, and after each.
    const end = saveKeys(lru, path, () => {
      if (++looks === 4) header[Header.LOCK] = 0;
      return 0;
    });
    await expect(end).resolves.toMatchObject({ entries: 1, isCut: false });
    expect(looks).toBeGreaterThanOrEqual(4);
  });

  it('writes what it has after its time, although the lock is held', async () => {
    for (let i = 0; i < 2 * ENTRIES_PER_STEP; i++) store(get(String(i)));
    let clock = 0;
    const header = new Int32Array(lru.buffer);
    // The second step finds the lock held.
    const end = saveKeys(lru, path, () => {
      if (clock > 0) header[Header.LOCK] = 7;
      return (clock += 1000);
    });
    await expect(end).resolves.toMatchObject({ entries: ENTRIES_PER_STEP, isCut: true });
    expect(await saved()).toHaveLength(ENTRIES_PER_STEP);
  });

  it('rejects if the file cannot be written, and leaves none behind', async () => {
    await expect(saveKeys(lru, join(path, 'keys'))).rejects.toMatchObject({ message: 'ENOENT' });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('a walk by recency between whose steps the cache is used', () => {
  const COUNT = 3 * ENTRIES_PER_STEP;
  beforeEach(() => {
    for (let i = 0; i < COUNT; i++) store(get(`key ${i}`));
  });

  /** Walks, calls `change` after the first step, and returns the visited keys. */
  function walk(change: () => void): string[] {
    const keys: string[] = [];
    const steps = lru.walkByRecency();
    const visit = (bytes: Uint8Array, from: number, to: number): void =>
      void keys.push(Buffer.from(bytes.subarray(from, to)).toString());
    steps.tryStep(visit);
    change();
    while (steps.tryStep(visit) !== 'done');
    return keys;
  }
  const LAST_VISITED = COUNT - ENTRIES_PER_STEP;

  it('goes on where it was although the last entry that it visited was read', () => {
    const keys = walk(() => {
      now += 1;
      lru.lookup(get(`key ${LAST_VISITED}`));
      lru.walkByRecency().tryStep(() => undefined);
    });
    expect(new Set(keys).size).toBe(COUNT);
  });

  it('goes on where it was although entries that it visited are gone', () => {
    const keys = walk(() => {
      for (let i = 0; i < 10; i++) lru.purge(Buffer.from(`key ${LAST_VISITED + i}`));
    });
    expect(new Set(keys).size).toBe(COUNT);
  });

  it('ends after a flush, and visits no entry that was stored since', () => {
    const keys = walk(() => {
      lru.flush();
      store(get('new'));
    });
    expect(keys).toHaveLength(ENTRIES_PER_STEP);
  });
});
