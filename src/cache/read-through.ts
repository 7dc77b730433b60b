import { KeptOutcomes, type Unread } from './kept-outcomes.ts';
import { Load } from './load.ts';
import { Loader, type LoaderParts } from './loader.ts';
import { type Awaited, LoadsUnderWay } from './loads-under-way.ts';
import type { Forward, Held, Lease, Lookup } from './lookup.ts';
import type { ReadDirectives } from './read-directives.ts';
import { type DirectedOutcome, type LoadOutcome, type ReadOutcome, failedLoad, withoutStale } from './read-outcome.ts';
import type { SharedLru } from './shared-lru.ts';

/**
 * Answers reads from the cache, and loads what it lacks: a key is loaded once at a time, across all threads, and all who
 * ask for it meanwhile get that load's outcome, whatever it is.
 */
export class ReadThrough {
  readonly #lru: SharedLru;
  readonly #loader: Loader;
  readonly #underWay = new LoadsUnderWay();

  constructor(parts: LoaderParts) {
    this.#lru = parts.lru;
    this.#loader = new Loader(parts);
  }

  /** A hit is answered on the spot; only what has to be loaded is a promise. */
  read(key: Buffer): ReadOutcome | Promise<ReadOutcome>;
  read(key: Buffer, directives: ReadDirectives | undefined): DirectedOutcome | Promise<DirectedOutcome>;
  read(key: Buffer, directives?: ReadDirectives): DirectedOutcome | Promise<DirectedOutcome> {
    if (directives !== undefined) return this.#readDirected(key, directives);
    const found = this.#lru.lookup(key);
    return isCached(found) ? found : this.#loadOne(key, found);
  }

  #readDirected(
    key: Buffer,
    { maxAgeMs = Infinity, onlyIfCached = false }: ReadDirectives,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (onlyIfCached) return this.#lru.held(key, maxAgeMs) ?? NOT_CACHED;
    const found = this.#lru.lookup(key, false, maxAgeMs);
    if (isCached(found)) return found;
    return maxAgeMs === Infinity ? this.#loadOne(key, found) : this.#loadYoung(key, found, maxAgeMs);
  }

  /** Loads for a reader who wants nothing old: if that fails, it is told so, whatever is held. */
  async #loadYoung(key: Buffer, found: Uncached, maxAgeMs: number): Promise<LoadOutcome> {
    const outcome = withoutStale(await this.#loadOne(key, found));
    // A load that was under way may have read what was there before this reader asked, or wrote. One that is begun after
    // it, by whomever, has not: so however many ask at once, it takes one more, and no two at the same time.
    if (maxAgeMs > 0 || found.kind !== 'loading' || !ANSWERS.has(outcome.kind)) return outcome;
    const again = this.#lru.lookup(key, true, maxAgeMs);
    return isCached(again) ? outcome : withoutStale(await this.#loadOne(key, again));
  }

  /**
   * Reads many keys, and answers one outcome per key, in order: on the spot when all are held. All that have to be
   * loaded are one round trip, and one place at the load gate; a key that somebody is loading already, or that is named
   * twice, is waited for. The waiting comes after the asking, so that reads that wait for one another's keys all end.
   *
   * @param maxBytes once the values of keys are as many bytes together, those of the keys behind them are not given, nor
   *   held: a key is not read then, or its value is let go as it comes. So is a value that is longer by itself.
   */
  readMany(keys: readonly Buffer[]): readonly ReadOutcome[] | Promise<readonly ReadOutcome[]>;
  readMany(
    keys: readonly Buffer[],
    maxBytes: number,
  ): readonly (ReadOutcome | Unread)[] | Promise<readonly (ReadOutcome | Unread)[]>;
  readMany(
    keys: readonly Buffer[],
    maxBytes = Infinity,
  ): readonly (ReadOutcome | Unread)[] | Promise<readonly (ReadOutcome | Unread)[]> {
    const batch = new Batch(this.#underWay);
    const kept = new KeptOutcomes(keys.length, maxBytes);
    const awaited: Promise<void>[] = [];
    keys.forEach((key, index) => {
      if (!kept.hasRoomAt(index)) return;
      const found = this.#lru.lookup(key);
      if (isCached(found)) kept.put(index, found);
      else awaited.push(this.#load(key, found, batch).then((outcome) => kept.put(index, outcome)));
    });
    batch.start(this.#loader);
    return awaited.length === 0 ? kept.outcomes : Promise.all(awaited).then(() => kept.outcomes);
  }

  #loadOne(key: Buffer, found: Uncached): Promise<LoadOutcome> {
    const batch = new Batch(this.#underWay);
    const outcome = this.#load(key, found, batch);
    batch.start(this.#loader);
    return outcome;
  }

  /** The outcome of a load: of one that is under way, or of one that is left in the batch for the caller to start. */
  #load(key: Buffer, found: Uncached, batch: Batch): Promise<LoadOutcome> {
    switch (found.kind) {
      case 'miss':
        return batch.add(key, found.lease, found.forward);
      case 'loading':
        return this.#follow(key, found, batch);
      case 'unleased':
        return batch.add(key, undefined, found.forward);
    }
  }

  #follow(key: Buffer, { lease, own, forward }: Loading, batch: Batch): Promise<LoadOutcome> {
    const load = this.#underWay.find(lease);
    if (load !== undefined) return collapsed(load.outcome, forward);
    // A lease of this thread that it no longer works on is one that nobody will fill.
    if (own) return batch.add(key, undefined, forward);
    return this.#share(key, lease, forward);
  }

  /** Waits for another thread's load; those of this thread who ask for the leased key meanwhile have the same outcome. */
  #share(key: Buffer, lease: Lease, forward: Forward): Promise<LoadOutcome> {
    const outcome = this.#awaitThread(key, lease, forward).finally(() => this.#underWay.remove(awaited));
    const awaited: Awaited = { lease, outcome, next: undefined };
    this.#underWay.add(awaited);
    return outcome;
  }

  /** The outcome of a load that another thread has under way. */
  async #awaitThread(key: Buffer, lease: Lease, forward: Forward): Promise<LoadOutcome> {
    const result = await this.#lru.result(lease);
    switch (result) {
      case 'missing':
        return { kind: 'absent', freshness: { ageMs: 0, lifetimeMs: 0 }, origin: 'collapsed', forward };
      case 'wrong-type':
      case 'value-too-large':
        return { kind: result, origin: 'collapsed', forward };
      case 'timeout':
      case 'unavailable':
      case 'overloaded':
        return failedLoad(this.#lru, key, result, 'collapsed', forward);
      case 'unshared':
        return this.#loadOne(key, { kind: 'unleased', forward });
      case 'void':
        // Others of this thread who look now must not wait for this one, which looks again itself.
        this.#forget(lease);
        return this.#lookAgain(key, forward);
    }
  }

  #forget(lease: Lease): void {
    const awaited = this.#underWay.find(lease);
    if (awaited !== undefined) this.#underWay.remove(awaited);
  }

  /** After a load by another thread: its outcome is in the cache, unless it was purged, evicted or never came. */
  #lookAgain(key: Buffer, forward: Forward): LoadOutcome | Promise<LoadOutcome> {
    const found = this.#lru.lookup(key, true);
    switch (found.kind) {
      case 'hit':
        return { ...found, kind: 'value', origin: 'collapsed', forward };
      case 'missing':
        return { ...found, kind: 'absent', origin: 'collapsed', forward };
      case 'miss':
      case 'loading':
      case 'unleased':
        return this.#loadOne(key, found);
    }
  }
}

type Uncached = Exclude<Lookup, Held>;
type Loading = Extract<Lookup, { kind: 'loading' }>;

const NOT_CACHED: DirectedOutcome = { kind: 'not-cached' };

/** Outcomes of loads that have learned what is in Redis. */
const ANSWERS: ReadonlySet<LoadOutcome['kind']> = new Set(['value', 'absent', 'wrong-type', 'value-too-large']);

/** Loads that are to be started together. */
class Batch {
  #loads: Load[] = [];
  readonly #underWay: LoadsUnderWay;
  /** Those without a lease, by their key, as binary strings: nobody else would find them when it is named again. */
  #unleased: Map<string, Load> | undefined;

  constructor(underWay: LoadsUnderWay) {
    this.#underWay = underWay;
  }

  add(key: Buffer, lease: Lease | undefined, forward: Forward): Promise<LoadOutcome> {
    if (lease === undefined) return this.#addUnleased(key, forward);
    const load = new Load(key, lease, forward, this.#underWay);
    this.#loads.push(load);
    return load.outcome;
  }

  /** Starts them, and lets them go: whoever awaits the last one must not hold on to what has come of the others. */
  start(loader: Loader): void {
    const loads = this.#loads;
    if (loads.length === 0) return;
    this.#loads = [];
    this.#unleased = undefined;
    loader.start(loads);
  }

  #addUnleased(key: Buffer, forward: Forward): Promise<LoadOutcome> {
    const name = key.toString('latin1');
    const unleased = (this.#unleased ??= new Map<string, Load>());
    const same = unleased.get(name);
    if (same !== undefined) return collapsed(same.outcome, forward);
    const load = new Load(key, undefined, forward, this.#underWay);
    this.#loads.push(load);
    unleased.set(name, load);
    return load.outcome;
  }
}

function isCached(found: Lookup): found is Held {
  return found.kind === 'hit' || found.kind === 'missing';
}

async function collapsed(outcome: Promise<LoadOutcome>, forward: Forward): Promise<LoadOutcome> {
  return { ...(await outcome), origin: 'collapsed', forward };
}
