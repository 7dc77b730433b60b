import { setImmediate as nextTick } from 'node:timers/promises';
import type { BufferFull } from '../../redis/redis-reply.ts';
import type { BufferedBytes, ReadClient, Reservation, MemoryAccount } from './buffered-bytes.ts';
import { BoundedResults, type Omitted } from './bounded-results.ts';
import { Load, type LoadRequest } from './load.ts';
import { Loader, type LoaderParts } from './loader.ts';
import { LargeLoadLimiter } from './large-load-limiter.ts';
import { LoadWindow } from '../../net/load-window.ts';
import { type InFlightLoad, InFlightLoads } from './in-flight-loads.ts';
import type { Forward, CachedEntry, Lease, Lookup } from '../shared-lru/cache-types.ts';
import {
  type DirectedOutcome,
  type Failure,
  type LoadEnd,
  type LoadOutcome,
  type ReadOutcome,
  failedLoad,
  withoutStale,
} from './read-outcome.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';

/** Requirements of a request on the freshness and origin of a value. */
export interface ReadDirectives {
  /** Maximum age in milliseconds; older entries are reloaded, with 0 every entry. A failed reload is never served stale. */
  readonly maxAgeMs?: number;
  /** Whether a miss must not be loaded. */
  readonly onlyIfCached?: boolean;
}

export interface ReadOptions {
  /** Whether this repeats a read that has been counted. */
  readonly alreadyCounted?: boolean;
  readonly client?: ReadClient | undefined;
  /** Memory account of a multi-key read; values that do not fit are omitted instead of waited for. */
  readonly reservation?: Reservation | undefined;
}

/**
 * Serves reads from the cache and loads misses. Concurrent misses for a key are coalesced into one load across all threads,
 * and every waiting request receives that load's outcome.
 *
 * A value that does not fit in the buffered-bytes limit is not rejected: the read releases its memory, waits, and is
 * repeated. Returned values are charged until the end of the tick.
 */
export class ReadThrough {
  readonly #lru: SharedLru;
  readonly #loader: Loader;
  readonly #buffered: BufferedBytes;
  readonly #inFlight = new InFlightLoads();
  /** Estimates the size of the first values of the next multi-key read from those of recent ones. */
  readonly #recentValues = new LoadWindow(READ_BATCH_SIZE);
  readonly #largeLoads = new LargeLoadLimiter();
  readonly #admit: (memory: ArrayBufferLike) => boolean;
  /** Ends of loads whose value does not fit: a single read waits for memory; a batch reports it to its caller. */
  readonly #waitForRoom = (request: LoadRequest, bufferFull: BufferFull): Promise<LoadOutcome> =>
    this.#whenRoom(request, bufferFull);
  readonly #report = (_: LoadRequest, bufferFull: BufferFull): LoadEnd => bufferFull;

  constructor(parts: LoaderParts) {
    this.#lru = parts.lru;
    this.#loader = new Loader(parts);
    this.#buffered = parts.buffered;
    this.#admit = (memory) => this.#buffered.tryHoldForTick(memory);
  }

  /** Returns a hit synchronously, and a promise only if the key must be loaded or the read must wait for memory. */
  read(key: Buffer, directives?: undefined, options?: ReadOptions): ReadOutcome | Promise<ReadOutcome>;
  read(
    key: Buffer,
    directives: ReadDirectives | undefined,
    options?: ReadOptions,
  ): DirectedOutcome | Promise<DirectedOutcome>;
  read(
    key: Buffer,
    directives?: ReadDirectives,
    { alreadyCounted = false, client }: ReadOptions = FIRST,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (directives !== undefined) return this.#readDirected(key, directives, alreadyCounted, client);
    const found = this.#lru.lookup(key, alreadyCounted, Infinity, this.#admit);
    return isCached(found) ? found : this.#loadOne(key, found, Infinity, client);
  }

  #readDirected(
    key: Buffer,
    { maxAgeMs = Infinity, onlyIfCached = false }: ReadDirectives,
    alreadyCounted: boolean,
    client: ReadClient | undefined,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (onlyIfCached) return this.#lru.peek(key, maxAgeMs) ?? NOT_CACHED;
    const found = this.#lru.lookup(key, alreadyCounted, maxAgeMs, this.#admit);
    if (isCached(found)) return found;
    return maxAgeMs === Infinity
      ? this.#loadOne(key, found, Infinity, client)
      : this.#loadYoung(key, found, maxAgeMs, client);
  }

  /** Loads for a request with a maximum age; if the load fails, its failure is returned instead of a stale value. */
  async #loadYoung(
    key: Buffer,
    found: Uncached,
    maxAgeMs: number,
    client: ReadClient | undefined,
  ): Promise<LoadOutcome> {
    const outcome = withoutStale(await this.#loadOne(key, found, maxAgeMs, client));
    // A load in flight may have read a value from before this request, or from before the client's own write. The next load
    // has not, whichever request starts it: so any number of concurrent requests costs one more load.
    if (maxAgeMs > 0 || found.kind !== 'loading' || !LOADED_KINDS.has(outcome.kind)) return outcome;
    const newer = this.#lru.lookup(key, true, maxAgeMs, this.#admit);
    return isCached(newer) ? outcome : withoutStale(await this.#loadOne(key, newer, maxAgeMs, client));
  }

  /**
   * Reads many keys and returns one outcome per key, in order; synchronously if all are hits. Misses are loaded in batches,
   * each of which is one round trip and one load permit: 4 to 16 keys at first, then as many as are expected to have 1 MiB of
   * values together, so that the values of other clients are not delayed. A key that is being loaded already, or that occurs
   * twice in a batch, waits for the load in flight. Loads are started before any is awaited, so reads that wait for each
   * other's keys cannot deadlock.
   *
   * @param maxBytes once values reach this total, those of later keys are omitted, and so is any single longer value.
   */
  readMany(keys: readonly Buffer[]): readonly ReadOutcome[] | Promise<readonly ReadOutcome[]>;
  readMany(
    keys: readonly Buffer[],
    maxBytes: number,
    options?: ReadOptions,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]>;
  readMany(
    keys: readonly Buffer[],
    maxBytes = Infinity,
    { alreadyCounted = false, client, reservation }: ReadOptions = FIRST,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]> {
    if (reservation !== undefined) {
      const inReservation = this.#keep(keys, maxBytes, reservation);
      const read = this.#readAll({ keys, kept: inReservation, account: reservation, alreadyCounted, client });
      return Promise.resolve(read).then(() => passed(inReservation));
    }
    const kept = this.#keep(keys, maxBytes, this.#buffered);
    const read = this.#readAll({ keys, kept, account: this.#buffered, alreadyCounted, client });
    if (read !== undefined) return read.then(() => this.#complete(keys, kept, maxBytes, client));
    return this.#complete(keys, kept, maxBytes, client);
  }

  #complete(
    keys: readonly Buffer[],
    kept: BoundedResults,
    maxBytes: number,
    client: ReadClient | undefined,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]> {
    return kept.hasOverflow ? this.#whenRoomForAll(keys, kept, maxBytes, client) : passed(kept);
  }

  /** Releases all values, waits until all of them fit, and reads again. */
  async #whenRoomForAll(
    keys: readonly Buffer[],
    before: BoundedResults,
    maxBytes: number,
    client: ReadClient | undefined,
  ): Promise<readonly (ReadOutcome | Omitted)[]> {
    for (let kept = before; ;) {
      const needed = kept.neededBytes;
      kept.clear();
      const reservation = await this.#buffered.reserve(needed, client);
      if (reservation === undefined) return keys.map(() => OVERLOADED);
      try {
        kept = this.#keep(keys, maxBytes, reservation);
        await this.#readAll({ keys, kept, account: reservation, alreadyCounted: true, client });
        // More than can ever fit: values that do not fit are omitted, as values beyond the response limit are.
        if (!kept.hasOverflow || needed >= this.#buffered.limit) return passed(kept);
      } finally {
        this.#buffered.releaseUnused(reservation);
      }
    }
  }

  #keep(keys: readonly Buffer[], maxBytes: number, account: MemoryAccount): BoundedResults {
    return new BoundedResults(keys.length, maxBytes, account, (memory) => this.#buffered.release(memory));
  }

  /** Reads keys until their values reach the cap. Returns undefined if all were cached. */
  #readAll(request: ManyKeys): Promise<void> | undefined {
    // Large values of other requests must not spread a few small keys over many round trips.
    const estimate = Math.min(MAX_FIRST_ESTIMATE, Math.max(LARGE_BYTES, this.#recentValues.estimate));
    const many = { ...request, window: new LoadWindow(READ_BATCH_SIZE, estimate), next: 0, replied: true };
    const ends = this.#readBatch(many);
    return ends.length === 0 && many.next === many.keys.length ? undefined : this.#readOn(many, ends);
  }

  /** Reads the other keys batch by batch, one per tick, so that other requests are served in between. */
  async #readOn(many: ManyReads, first: readonly Promise<void>[]): Promise<void> {
    const { keys, window, client } = many;
    await Promise.all(first);
    while (many.next < keys.length && client?.disconnected !== true) {
      await nextTick();
      const bytes =
        window.estimate < LARGE_BYTES ? 0 : window.estimate * Math.min(window.size, keys.length - many.next);
      if (bytes > 0) await this.#largeLoads.acquire(bytes);
      try {
        await Promise.all(this.#readBatch(many));
      } finally {
        if (bytes > 0) this.#largeLoads.release(bytes);
      }
    }
  }

  /** Looks up the next keys and starts as many loads as the window allows; returns a promise for each key that is loading. */
  #readBatch(many: ManyReads): Promise<void>[] {
    const { keys, kept, account, alreadyCounted, window, replied } = many;
    const batch = new Batch(this.#inFlight, account, this.#report);
    const ends: Promise<void>[] = [];
    const admit = (memory: ArrayBufferLike): boolean => account.tryHoldForTick(memory);
    const to = Math.min(many.next + READ_BATCH_SIZE, keys.length);
    const maxLoads = replied ? window.size : READ_BATCH_SIZE;
    let loads = 0;
    for (; many.next < to && loads < maxLoads; many.next++) {
      const index = many.next;
      if (!kept.isWithinCap(index)) continue;
      const key = keys[index];
      const found = this.#lru.lookup(key, alreadyCounted, Infinity, admit);
      if (isCached(found)) kept.set(index, found);
      else if (found.kind === 'buffer-full') kept.addOverflow(index, found.bytes);
      else {
        const started = batch.size;
        ends.push(this.#load(key, found, batch).then((end) => this.#putEnd(many, index, end)));
        // A load in flight counts as well, but a key that occurs twice does not.
        loads += found.kind === 'loading' ? 1 : batch.size - started;
      }
    }
    if (replied) {
      many.replied = ends.length === 0;
      batch.start(this.#loader);
    } else {
      batch.reject(this.#loader, 'timeout');
    }
    return ends;
  }

  #putEnd(many: ManyReads, index: number, end: LoadEnd): void {
    const { kept, window } = many;
    if (end.kind === 'buffer-full') kept.addOverflow(index, end.bytes);
    else kept.set(index, end);
    many.replied ||= !isTimeout(end);
    const bytes = loadedBytes(end);
    window.observe(bytes);
    this.#recentValues.observe(bytes);
  }

  /** Loads a key for a single read, which waits for memory if the value does not fit. */
  #loadOne(key: Buffer, found: Uncached, maxAgeMs: number, client: ReadClient | undefined): Promise<LoadOutcome> {
    const request = {
      key,
      lease: undefined,
      forward: forwardOf(found),
      maxAgeMs,
      client,
      account: this.#buffered,
    };
    switch (found.kind) {
      case 'miss':
        return this.#start({ ...request, lease: found.lease });
      case 'unleased':
        return this.#start(request);
      case 'buffer-full':
        return this.#whenRoom(request, found);
      case 'loading': {
        const batch = new Batch(this.#inFlight, this.#buffered, this.#report);
        const end = this.#follow(key, found, batch).then((each) =>
          each.kind === 'buffer-full' ? this.#whenRoom(request, each) : each,
        );
        batch.start(this.#loader);
        return end;
      }
    }
  }

  #start(request: LoadRequest): Promise<LoadOutcome> {
    const load = new Load<LoadOutcome>(request, this.#inFlight, this.#waitForRoom);
    this.#loader.start([load]);
    return load.end;
  }

  /** Reads a value that did not fit, as soon as it does. */
  async #whenRoom(request: LoadRequest, bufferFull: BufferFull): Promise<LoadOutcome> {
    const { key, forward, client } = request;
    for (let { bytes } = bufferFull, follows = request.maxAgeMs === Infinity; ; follows = false) {
      const account = await this.#buffered.reserve(bytes, client);
      if (account === undefined) return failedLoad(this.#lru, key, 'overloaded', 'not-stored', forward);
      try {
        const end = await this.#readIn(account, request, follows);
        if (end.kind !== 'buffer-full') return end;
        bytes = end.bytes;
      } finally {
        this.#buffered.releaseUnused(account);
      }
    }
  }

  /** @param follows whether a load in flight may be joined, although its value may not fit for that load itself. */
  async #readIn(account: MemoryAccount, { key, forward, maxAgeMs }: LoadRequest, follows: boolean): Promise<LoadEnd> {
    const found = this.#lru.lookup(key, true, maxAgeMs, (memory) => account.tryHoldForTick(memory));
    if (isCached(found)) return asLoaded(found, forward);
    if (found.kind === 'buffer-full') return found;
    const batch = new Batch(this.#inFlight, account, this.#report);
    const isAlone = found.kind === 'loading' && !follows;
    const end = isAlone ? batch.add(key, undefined, forward) : this.#load(key, found, batch);
    batch.start(this.#loader);
    return end;
  }

  /** Joins the load in flight, or adds one to the batch, which the caller starts. */
  #load(key: Buffer, found: Exclude<Uncached, BufferFull>, batch: Batch): Promise<LoadEnd> {
    switch (found.kind) {
      case 'miss':
        return batch.add(key, found.lease, found.forward);
      case 'loading':
        return this.#follow(key, found, batch);
      case 'unleased':
        return batch.add(key, undefined, found.forward);
    }
  }

  #follow(key: Buffer, { lease, own, forward }: Loading, batch: Batch): Promise<LoadEnd> {
    const load = this.#inFlight.find(lease);
    if (load !== undefined) return collapsed(unlessBlocked(load), forward);
    // A lease of this thread without a load in flight will never be filled.
    if (own) return batch.add(key, undefined, forward);
    return this.#share(key, lease, forward);
  }

  /** Waits for another thread's load; concurrent reads of the key on this thread share the outcome. */
  #share(key: Buffer, lease: Lease, forward: Forward): Promise<LoadEnd> {
    const end = this.#awaitOtherThread(key, lease, forward).finally(() => this.#inFlight.remove(awaited));
    const awaited: InFlightLoad = { lease, end, blockedCallbacks: undefined, next: undefined };
    this.#inFlight.add(awaited);
    return end;
  }

  /** Waits for the end of another thread's load. */
  async #awaitOtherThread(key: Buffer, lease: Lease, forward: Forward): Promise<LoadEnd> {
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
        return this.#loadHere(key, { kind: 'unleased', forward });
      case 'void':
        // Reads on this thread must not wait for this one from now on, because it looks up the key again itself.
        this.#forget(lease);
        return this.#lookUpAgain(key, forward);
    }
  }

  #forget(lease: Lease): void {
    const awaited = this.#inFlight.find(lease);
    if (awaited !== undefined) this.#inFlight.remove(awaited);
  }

  /** Looks up the key after another thread's load: the entry is cached unless it was purged or evicted, or the load failed. */
  #lookUpAgain(key: Buffer, forward: Forward): LoadEnd | Promise<LoadEnd> {
    const found = this.#lru.lookup(key, true, Infinity, this.#admit);
    if (isCached(found)) return asLoaded(found, forward);
    return found.kind === 'buffer-full' ? found : this.#loadHere(key, found);
  }

  #loadHere(key: Buffer, found: Exclude<Uncached, BufferFull>): Promise<LoadEnd> {
    const batch = new Batch(this.#inFlight, this.#buffered, this.#report);
    const end = this.#load(key, found, batch);
    batch.start(this.#loader);
    return end;
  }
}

const FIRST: ReadOptions = {};

/** Number of keys looked up and requested from Redis in one tick, during which the thread does nothing else. */
const READ_BATCH_SIZE = 1000;

/** Minimum size in bytes of large values, whose loads count against {@link LargeLoadLimiter}. */
const LARGE_BYTES = 2 ** 16;

/** Upper bound in bytes of a value's estimated size at the start of a read: its first batch loads at least 4 keys. */
const MAX_FIRST_ESTIMATE = 2 ** 18;

/** Estimated size of a value that is too large to read; its real size is unknown. */
const TOO_LARGE_BYTES = 2 ** 20;

/** A multi-key read. */
interface ManyKeys {
  readonly keys: readonly Buffer[];
  readonly kept: BoundedResults;
  readonly account: MemoryAccount;
  readonly alreadyCounted: boolean;
  readonly client: ReadClient | undefined;
}

/** The progress of a multi-key read. */
interface ManyReads extends ManyKeys {
  readonly window: LoadWindow;
  /** Index of the first key that has not been looked up. */
  next: number;
  /** False if all loads of the last batch timed out: then the other misses fail at once, as one time-out is long enough. */
  replied: boolean;
}

type Uncached = Exclude<Lookup, CachedEntry>;
type Loading = Extract<Lookup, { kind: 'loading' }>;

const NOT_CACHED: DirectedOutcome = { kind: 'not-cached' };

/** Outcomes of loads that learned the state of the key in Redis. */
const LOADED_KINDS: ReadonlySet<LoadOutcome['kind']> = new Set(['value', 'absent', 'wrong-type', 'value-too-large']);

const OVERLOADED: LoadOutcome = { kind: 'overloaded', origin: 'not-stored', forward: 'uri-miss' };

/** Loads that are started together. The code that starts them handles values that do not fit. */
class Batch {
  #loads: Load[] = [];
  readonly #inFlight: InFlightLoads;
  readonly #account: MemoryAccount;
  readonly #onBufferFull: (request: LoadRequest, bufferFull: BufferFull) => LoadEnd;
  /** Loads without a lease by key (as binary string), to coalesce repeated keys of this batch. */
  #unleased: Map<string, Load> | undefined;

  constructor(
    inFlight: InFlightLoads,
    account: MemoryAccount,
    onBufferFull: (request: LoadRequest, bufferFull: BufferFull) => LoadEnd,
  ) {
    this.#inFlight = inFlight;
    this.#account = account;
    this.#onBufferFull = onBufferFull;
  }

  add(key: Buffer, lease: Lease | undefined, forward: Forward): Promise<LoadEnd> {
    return lease === undefined ? this.#addUnleased(key, forward) : this.#add(key, lease, forward).end;
  }

  /** Number of loads. */
  get size(): number {
    return this.#loads.length;
  }

  /** Starts the loads and drops the references to them, so that awaiting the last one does not retain the other values. */
  start(loader: Loader): void {
    const loads = this.#clear();
    if (loads.length > 0) loader.start(loads);
  }

  /** Ends the loads with a failure, without sending them. */
  reject(loader: Loader, failure: Failure): void {
    loader.reject(this.#clear(), failure);
  }

  #clear(): readonly Load[] {
    const loads = this.#loads;
    this.#loads = [];
    this.#unleased = undefined;
    return loads;
  }

  #addUnleased(key: Buffer, forward: Forward): Promise<LoadEnd> {
    const name = key.toString('latin1');
    const unleased = (this.#unleased ??= new Map<string, Load>());
    const same = unleased.get(name);
    if (same !== undefined) return collapsed(same.end, forward);
    const load = this.#add(key, undefined, forward);
    unleased.set(name, load);
    return load.end;
  }

  #add(key: Buffer, lease: Lease | undefined, forward: Forward): Load {
    const request = { key, lease, forward, maxAgeMs: Infinity, client: undefined, account: this.#account };
    const load = new Load(request, this.#inFlight, this.#onBufferFull);
    this.#loads.push(load);
    return load;
  }
}

function isCached(found: Lookup): found is CachedEntry {
  return found.kind === 'hit' || found.kind === 'missing';
}

function forwardOf(found: Uncached): Forward {
  return found.kind === 'buffer-full' ? 'uri-miss' : found.forward;
}

/** Turns an entry that was found after waiting into the outcome of a coalesced load. */
function asLoaded(found: CachedEntry, forward: Forward): LoadOutcome {
  return found.kind === 'hit'
    ? { ...found, kind: 'value', origin: 'collapsed', forward }
    : { ...found, kind: 'absent', origin: 'collapsed', forward };
}

function passed(kept: BoundedResults): BoundedResults['outcomes'] {
  kept.releaseAfterTick();
  return kept.outcomes;
}

function isTimeout(end: LoadEnd): boolean {
  return end.kind === 'timeout' || (end.kind === 'stale' && end.failure === 'timeout');
}

/** Size in bytes of the value that a load received; 0 if there is none, or if the load failed. */
function loadedBytes(end: LoadEnd): number {
  if (end.kind === 'buffer-full') return end.bytes;
  if (end.kind === 'value-too-large') return TOO_LARGE_BYTES;
  return end.kind === 'value' ? end.value.length : 0;
}

async function collapsed(end: Promise<LoadEnd>, forward: Forward): Promise<LoadEnd> {
  const ended = await end;
  return ended.kind === 'buffer-full' ? ended : { ...ended, origin: 'collapsed', forward };
}

/** Returns the end of a load, or `buffer-full` as soon as the load starts to wait for memory: the caller must not wait with it. */
function unlessBlocked(load: InFlightLoad): Promise<LoadEnd> {
  return new Promise((resolve, reject) => {
    (load.blockedCallbacks ??= []).push(resolve);
    load.end.then(resolve, reject);
  });
}
