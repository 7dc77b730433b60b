import { setImmediate as nextTurn } from 'node:timers/promises';
import type { NoRoom } from '../../redis/redis-reply.ts';
import type { BufferedBytes, Reader, Reservation, Room } from './buffered-bytes.ts';
import { BoundedResults, type Omitted } from './bounded-results.ts';
import { Load, type LoadRequest } from './load.ts';
import { Loader, type LoaderParts } from './loader.ts';
import { type InFlightLoad, InFlightLoads } from './in-flight-loads.ts';
import type { Forward, CachedEntry, Lease, Lookup } from '../shared-lru/cache-types.ts';
import type { ReadDirectives } from './read-directives.ts';
import {
  type DirectedOutcome,
  type LoadEnd,
  type LoadOutcome,
  type ReadOutcome,
  failedLoad,
  withoutStale,
} from './read-outcome.ts';
import type { SharedLru } from '../shared-lru/shared-lru.ts';

/** Who reads, and whether it has read before. */
export interface ReadOptions {
  /** Whether it reads again what it could not keep, and was counted before. */
  readonly again?: boolean;
  readonly reader?: Reader | undefined;
  /** Room that many keys are read in: what has none there is left out, and not waited for. */
  readonly room?: Reservation | undefined;
}

/**
 * Answers reads from the cache, and loads what it lacks: a key is loaded once at a time, across all threads, and all who
 * ask for it meanwhile get that load's outcome, whatever it is.
 *
 * A value for which there is no room among the buffered bytes is not refused: the read waits for room, holding nothing, and
 * reads again. Values that are handed out are counted until the end of the turn of the event loop.
 */
export class ReadThrough {
  readonly #lru: SharedLru;
  readonly #loader: Loader;
  readonly #buffered: BufferedBytes;
  readonly #underWay = new InFlightLoads();
  readonly #admit: (memory: ArrayBufferLike) => boolean;
  /** What a load for a single read ends with when there is no room, and one for others, who see to it themselves. */
  readonly #waitForRoom = (request: LoadRequest, noRoom: NoRoom): Promise<LoadOutcome> =>
    this.#whenRoom(request, noRoom);
  readonly #tell = (_: LoadRequest, noRoom: NoRoom): LoadEnd => noRoom;

  constructor(parts: LoaderParts) {
    this.#lru = parts.lru;
    this.#loader = new Loader(parts);
    this.#buffered = parts.buffered;
    this.#admit = (memory) => this.#buffered.admit(memory);
  }

  /** A hit is answered on the spot; only what has to be loaded, or to wait for room, is a promise. */
  read(key: Buffer, directives?: undefined, options?: ReadOptions): ReadOutcome | Promise<ReadOutcome>;
  read(
    key: Buffer,
    directives: ReadDirectives | undefined,
    options?: ReadOptions,
  ): DirectedOutcome | Promise<DirectedOutcome>;
  read(
    key: Buffer,
    directives?: ReadDirectives,
    { again = false, reader }: ReadOptions = FIRST,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (directives !== undefined) return this.#readDirected(key, directives, again, reader);
    const found = this.#lru.lookup(key, again, Infinity, this.#admit);
    return isCached(found) ? found : this.#loadOne(key, found, Infinity, reader);
  }

  #readDirected(
    key: Buffer,
    { maxAgeMs = Infinity, onlyIfCached = false }: ReadDirectives,
    again: boolean,
    reader: Reader | undefined,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    if (onlyIfCached) return this.#lru.peek(key, maxAgeMs) ?? NOT_CACHED;
    const found = this.#lru.lookup(key, again, maxAgeMs, this.#admit);
    if (isCached(found)) return found;
    return maxAgeMs === Infinity
      ? this.#loadOne(key, found, Infinity, reader)
      : this.#loadYoung(key, found, maxAgeMs, reader);
  }

  /** Loads for a reader who wants nothing old: if that fails, it is told so, whatever is held. */
  async #loadYoung(key: Buffer, found: Uncached, maxAgeMs: number, reader: Reader | undefined): Promise<LoadOutcome> {
    const outcome = withoutStale(await this.#loadOne(key, found, maxAgeMs, reader));
    // A load that was under way may have read what was there before this reader asked, or wrote. One that is begun after
    // it, by whomever, has not: so however many ask at once, it takes one more, and no two at the same time.
    if (maxAgeMs > 0 || found.kind !== 'loading' || !ANSWERS.has(outcome.kind)) return outcome;
    const again = this.#lru.lookup(key, true, maxAgeMs, this.#admit);
    return isCached(again) ? outcome : withoutStale(await this.#loadOne(key, again, maxAgeMs, reader));
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
    options?: ReadOptions,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]>;
  readMany(
    keys: readonly Buffer[],
    maxBytes = Infinity,
    { again = false, reader, room }: ReadOptions = FIRST,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]> {
    if (room !== undefined) {
      const inRoom = this.#keep(keys, maxBytes, room);
      return this.#readInTurns(keys, inRoom, room, again).then(() => passed(inRoom));
    }
    const kept = this.#keep(keys, maxBytes, this.#buffered);
    if (keys.length > READ_BATCH_SIZE) {
      return this.#readInTurns(keys, kept, this.#buffered, again).then(() =>
        this.#complete(keys, kept, maxBytes, reader),
      );
    }
    const awaited = this.#readAll(keys, 0, kept, this.#buffered, again);
    if (awaited.length > 0) return Promise.all(awaited).then(() => this.#complete(keys, kept, maxBytes, reader));
    return this.#complete(keys, kept, maxBytes, reader);
  }

  #complete(
    keys: readonly Buffer[],
    kept: BoundedResults,
    maxBytes: number,
    reader: Reader | undefined,
  ): readonly (ReadOutcome | Omitted)[] | Promise<readonly (ReadOutcome | Omitted)[]> {
    return kept.lacksRoom ? this.#whenRoomForAll(keys, kept, maxBytes, reader) : passed(kept);
  }

  /** Lets all go that was read, waits until there is room for all of it, and reads again. */
  async #whenRoomForAll(
    keys: readonly Buffer[],
    before: BoundedResults,
    maxBytes: number,
    reader: Reader | undefined,
  ): Promise<readonly (ReadOutcome | Omitted)[]> {
    for (let kept = before; ;) {
      const needed = kept.neededBytes;
      kept.clear();
      const reservation = await this.#buffered.wait(needed, reader);
      if (reservation === undefined) return keys.map(() => OVERLOADED);
      try {
        kept = this.#keep(keys, maxBytes, reservation);
        await this.#readInTurns(keys, kept, reservation, true);
        // More than there ever is room for: what has none is left out, as it is when the response has no room for it.
        if (!kept.lacksRoom || needed >= this.#buffered.limit) return passed(kept);
      } finally {
        this.#buffered.free(reservation);
      }
    }
  }

  #keep(keys: readonly Buffer[], maxBytes: number, room: Room): BoundedResults {
    return new BoundedResults(keys.length, maxBytes, room, (memory) => this.#buffered.release(memory));
  }

  /** Reads keys, so many at once that others are served in between. */
  async #readInTurns(keys: readonly Buffer[], kept: BoundedResults, room: Room, again: boolean): Promise<void> {
    for (let from = 0; from < keys.length; from += READ_BATCH_SIZE) {
      if (from > 0) await nextTurn();
      await Promise.all(this.#readAll(keys.slice(from, from + READ_BATCH_SIZE), from, kept, room, again));
    }
  }

  /**
   * Reads keys, as far as there is room for their values; answers what is still to come.
   *
   * @param from the place of the first of them among all that are read.
   */
  #readAll(keys: readonly Buffer[], from: number, kept: BoundedResults, room: Room, again: boolean): Promise<void>[] {
    const batch = new Batch(this.#underWay, room, this.#tell);
    const awaited: Promise<void>[] = [];
    const admit = (memory: ArrayBufferLike): boolean => room.admit(memory);
    keys.forEach((key, i) => {
      const index = from + i;
      if (!kept.hasRoomAt(index)) return;
      const found = this.#lru.lookup(key, again, Infinity, admit);
      if (isCached(found)) kept.put(index, found);
      else if (found.kind === 'no-room') kept.lack(index, found.bytes);
      else awaited.push(this.#load(key, found, batch).then((end) => putEnd(kept, index, end)));
    });
    batch.start(this.#loader);
    return awaited;
  }

  /** Loads a key for a single read, which waits for room if there is none for the value. */
  #loadOne(key: Buffer, found: Uncached, maxAgeMs: number, reader: Reader | undefined): Promise<LoadOutcome> {
    const request = { key, lease: undefined, forward: forwardOf(found), maxAgeMs, reader, room: this.#buffered };
    switch (found.kind) {
      case 'miss':
        return this.#start({ ...request, lease: found.lease });
      case 'unleased':
        return this.#start(request);
      case 'no-room':
        return this.#whenRoom(request, found);
      case 'loading': {
        const batch = new Batch(this.#underWay, this.#buffered, this.#tell);
        const end = this.#follow(key, found, batch).then((each) =>
          each.kind === 'no-room' ? this.#whenRoom(request, each) : each,
        );
        batch.start(this.#loader);
        return end;
      }
    }
  }

  #start(request: LoadRequest): Promise<LoadOutcome> {
    const load = new Load<LoadOutcome>(request, this.#underWay, this.#waitForRoom);
    this.#loader.start([load]);
    return load.end;
  }

  /** Reads what there was no room for, as soon as there is. */
  async #whenRoom(request: LoadRequest, noRoom: NoRoom): Promise<LoadOutcome> {
    const { key, forward, reader } = request;
    for (let { bytes } = noRoom, follows = request.maxAgeMs === Infinity; ; follows = false) {
      const room = await this.#buffered.wait(bytes, reader);
      if (room === undefined) return failedLoad(this.#lru, key, 'overloaded', 'not-stored', forward);
      try {
        const end = await this.#readIn(room, request, follows);
        if (end.kind !== 'no-room') return end;
        bytes = end.bytes;
      } finally {
        this.#buffered.free(room);
      }
    }
  }

  /** @param follows whether a load that is under way already does, which may find no room for itself. */
  async #readIn(room: Room, { key, forward, maxAgeMs }: LoadRequest, follows: boolean): Promise<LoadEnd> {
    const found = this.#lru.lookup(key, true, maxAgeMs, (memory) => room.admit(memory));
    if (isCached(found)) return asLoaded(found, forward);
    if (found.kind === 'no-room') return found;
    const batch = new Batch(this.#underWay, room, this.#tell);
    const isAlone = found.kind === 'loading' && !follows;
    const end = isAlone ? batch.add(key, undefined, forward) : this.#load(key, found, batch);
    batch.start(this.#loader);
    return end;
  }

  /** The end of a load: of one that is under way, or of one that is left in the batch for the caller to start. */
  #load(key: Buffer, found: Exclude<Uncached, NoRoom>, batch: Batch): Promise<LoadEnd> {
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
    const load = this.#underWay.find(lease);
    if (load !== undefined) return collapsed(unlessBlocked(load), forward);
    // A lease of this thread that it no longer works on is one that nobody will fill.
    if (own) return batch.add(key, undefined, forward);
    return this.#share(key, lease, forward);
  }

  /** Waits for another thread's load; those of this thread who ask for the leased key meanwhile have the same outcome. */
  #share(key: Buffer, lease: Lease, forward: Forward): Promise<LoadEnd> {
    const end = this.#awaitThread(key, lease, forward).finally(() => this.#underWay.remove(awaited));
    const awaited: InFlightLoad = { lease, end, blocked: undefined, next: undefined };
    this.#underWay.add(awaited);
    return end;
  }

  /** The end of a load that another thread has under way. */
  async #awaitThread(key: Buffer, lease: Lease, forward: Forward): Promise<LoadEnd> {
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
  #lookAgain(key: Buffer, forward: Forward): LoadEnd | Promise<LoadEnd> {
    const found = this.#lru.lookup(key, true, Infinity, this.#admit);
    if (isCached(found)) return asLoaded(found, forward);
    return found.kind === 'no-room' ? found : this.#loadHere(key, found);
  }

  #loadHere(key: Buffer, found: Exclude<Uncached, NoRoom>): Promise<LoadEnd> {
    const batch = new Batch(this.#underWay, this.#buffered, this.#tell);
    const end = this.#load(key, found, batch);
    batch.start(this.#loader);
    return end;
  }
}

const FIRST: ReadOptions = {};

/** Keys that are looked up, and read from Redis, in one go: a thread does nothing else meanwhile. */
const READ_BATCH_SIZE = 1000;

type Uncached = Exclude<Lookup, CachedEntry>;
type Loading = Extract<Lookup, { kind: 'loading' }>;

const NOT_CACHED: DirectedOutcome = { kind: 'not-cached' };

/** Outcomes of loads that have learned what is in Redis. */
const ANSWERS: ReadonlySet<LoadOutcome['kind']> = new Set(['value', 'absent', 'wrong-type', 'value-too-large']);

const OVERLOADED: LoadOutcome = { kind: 'overloaded', origin: 'not-stored', forward: 'uri-miss' };

/** Loads that are to be started together. Who starts them sees to it himself when there is no room for a value. */
class Batch {
  #loads: Load[] = [];
  readonly #underWay: InFlightLoads;
  readonly #room: Room;
  readonly #whenNoRoom: (request: LoadRequest, noRoom: NoRoom) => LoadEnd;
  /** Those without a lease, by their key, as binary strings: nobody else would find them when it is named again. */
  #unleased: Map<string, Load> | undefined;

  constructor(underWay: InFlightLoads, room: Room, whenNoRoom: (request: LoadRequest, noRoom: NoRoom) => LoadEnd) {
    this.#underWay = underWay;
    this.#room = room;
    this.#whenNoRoom = whenNoRoom;
  }

  add(key: Buffer, lease: Lease | undefined, forward: Forward): Promise<LoadEnd> {
    return lease === undefined ? this.#addUnleased(key, forward) : this.#add(key, lease, forward).end;
  }

  /** Starts them, and lets them go: whoever awaits the last one must not hold on to what has come of the others. */
  start(loader: Loader): void {
    const loads = this.#loads;
    if (loads.length === 0) return;
    this.#loads = [];
    this.#unleased = undefined;
    loader.start(loads);
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
    const request = { key, lease, forward, maxAgeMs: Infinity, reader: undefined, room: this.#room };
    const load = new Load(request, this.#underWay, this.#whenNoRoom);
    this.#loads.push(load);
    return load;
  }
}

function isCached(found: Lookup): found is CachedEntry {
  return found.kind === 'hit' || found.kind === 'missing';
}

function forwardOf(found: Uncached): Forward {
  return found.kind === 'no-room' ? 'uri-miss' : found.forward;
}

/** What is held by now, for a reader who had to wait. */
function asLoaded(found: CachedEntry, forward: Forward): LoadOutcome {
  return found.kind === 'hit'
    ? { ...found, kind: 'value', origin: 'collapsed', forward }
    : { ...found, kind: 'absent', origin: 'collapsed', forward };
}

function passed(kept: BoundedResults): BoundedResults['outcomes'] {
  kept.pass();
  return kept.outcomes;
}

function putEnd(kept: BoundedResults, index: number, end: LoadEnd): void {
  if (end.kind === 'no-room') kept.lack(index, end.bytes);
  else kept.put(index, end);
}

async function collapsed(end: Promise<LoadEnd>, forward: Forward): Promise<LoadEnd> {
  const ended = await end;
  return ended.kind === 'no-room' ? ended : { ...ended, origin: 'collapsed', forward };
}

/** The end of a load, for somebody who must not wait for room together with it. */
function unlessBlocked(load: InFlightLoad): Promise<LoadEnd> {
  return new Promise((resolve, reject) => {
    (load.blocked ??= []).push(resolve);
    load.end.then(resolve, reject);
  });
}
