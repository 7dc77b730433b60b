import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Reader, Reservation } from '../cache/read-through/buffered-bytes.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { Omitted } from '../cache/read-through/bounded-results.ts';
import type { ExpiryOutcome, TypeOutcome } from '../cache/read-through/key-queries.ts';
import type { ReadOutcome } from '../cache/read-through/read-outcome.ts';
import { type KeyCommand, type ValueCommand, keysOf } from './key-command-table.ts';
import { KeyReads } from './key-reads.ts';
import type { Counted, Read, ReplySink } from './key-replies.ts';

/** Writes the reply to a command whose keys have been read. */
export type WriteReply = (out: ReplySink) => void;

/**
 * Keys that are looked up, and read from Redis, in one go. A thread does nothing else meanwhile, so more keys than this are
 * read in several goes, between which other clients are served.
 */
const READ_BATCH_SIZE = 1000;
/** Bytes of values that may be held at once to count keys or bytes; the replies hold none of them. */
const COUNTED_BYTES = 16 * 1024 * 1024;
/** Values held at once when those of more keys turned out to be larger than that. */
const COUNT_BATCH_SIZE = 32;

const NOT_READ: Read = { failure: 'too-large' };

/** The keys that one or several commands name: read together, in one round trip to Redis, and then replied to in order. */
export class ReadPlan {
  readonly #cache: CacheService;
  readonly #reads: KeyReads;
  readonly #maxBytes: number;
  readonly #reader: Reader | undefined;
  /** Whether what is read was read, and counted, before. */
  #again = false;
  readonly #keys: Buffer[] = [];
  readonly #counted: Buffer[] = [];
  readonly #expiring: Buffer[] = [];
  readonly #typed: Buffer[] = [];
  #found: readonly Read[] = [];
  #counts: readonly Counted[] = [];
  #expiries: readonly ExpiryOutcome[] = [];
  #types: readonly TypeOutcome[] = [];
  #repliedAt = 0;

  /**
   * @param maxBytes once the values are as many bytes together, those of further keys are errors in their replies.
   * @param reader for whom the keys are read.
   */
  constructor(cache: CacheService, reads: KeyReads, maxBytes: number, reader?: Reader) {
    this.#reader = reader;
    this.#cache = cache;
    this.#reads = reads;
    this.#maxBytes = maxBytes;
  }

  /** Keys of all commands. */
  get keyCount(): number {
    return this.#keys.length + this.#counted.length + this.#expiring.length + this.#typed.length;
  }

  /**
   * Adds the keys of a command, which may be read.
   *
   * @param args as many as the arity says; those that are keys are copied.
   * @returns how its reply is written after {@link read}; or what is wrong with the arguments.
   */
  add(command: KeyCommand, args: readonly Buffer[]): WriteReply | string {
    const keys = keysOf(command.keys, args);
    switch (command.asks) {
      case 'values':
        return this.#addValues(command, args, keys);
      case 'counts': {
        const from = append(this.#counted, keys);
        return (out) => command.write(this.#counts.slice(from, from + keys.length), out);
      }
      case 'expiry': {
        const at = append(this.#expiring, keys);
        return (out) => command.write(this.#expiries[at], out, this.#repliedAt);
      }
      case 'type': {
        const at = append(this.#typed, keys);
        return (out) => command.write(this.#types[at], out);
      }
    }
  }

  /** Reads all keys; undefined when every one of them was a hit, and the replies can be written at once. */
  read(): Promise<void> | undefined {
    const parts = [this.#readValues(), this.#readCounted(), this.#readExpiries(), this.#readTypes()];
    const pending = parts.filter((part) => part !== undefined);
    return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
  }

  /** The values that are kept until the replies are written. */
  get values(): readonly Buffer[] {
    return this.#found.flatMap((read) => (read !== undefined && 'value' in read ? [read.value] : []));
  }

  /** Lets go of the values; they are read again before the replies are written. */
  drop(): void {
    this.#found = [];
  }

  /**
   * Reads the dropped values again, uncounted.
   *
   * @param room in which they are read; what has none there is an error in its reply.
   */
  async readAgain(room?: Reservation): Promise<void> {
    this.#again = true;
    await this.#readValues(room);
  }

  #addValues({ reply }: ValueCommand, args: readonly Buffer[], keys: readonly Buffer[]): WriteReply | string {
    const write = reply(args);
    if (typeof write === 'string') return write;
    const from = append(this.#keys, keys);
    return (out) => write(this.#found.slice(from, from + keys.length), out);
  }

  #readValues(room?: Reservation): Promise<void> | undefined {
    if (this.#keys.length === 0) return undefined;
    const options = { again: this.#again, reader: this.#reader, room };
    const settle = (outcomes: Outcomes): void => void (this.#found = this.#readsOf(outcomes));
    if (this.#keys.length > 1 || room !== undefined)
      return whenKnown(this.#cache.readMany(this.#keys, this.#maxBytes, options), settle);
    const outcome = this.#cache.read(this.#keys[0], undefined, options);
    if (outcome instanceof Promise) return outcome.then((one) => settle([one]));
    settle([outcome]);
    return undefined;
  }

  #readCounted(): Promise<void> | undefined {
    const keys = this.#counted;
    if (keys.length > READ_BATCH_SIZE) return this.#readCountedInBatches();
    if (keys.length === 0) return undefined;
    return whenKnown(this.#cache.readMany(keys, COUNTED_BYTES, { reader: this.#reader }), (outcomes) => {
      const counts = this.#countsOf(outcomes);
      if (!counts.includes(NOT_READ)) this.#counts = counts;
      else return this.#readLarge(keys, counts).then((all) => void (this.#counts = all));
    });
  }

  async #readCountedInBatches(): Promise<void> {
    const counts: Counted[] = [];
    for (const keys of batchesOf(this.#counted, READ_BATCH_SIZE)) {
      if (counts.length > 0) await nextTurn();
      const found = this.#countsOf(await this.#cache.readMany(keys, COUNTED_BYTES, { reader: this.#reader }));
      counts.push(...(await this.#readLarge(keys, found)));
    }
    this.#counts = counts;
  }

  /** Reads the values that have not been read for want of room, a few at a time. */
  async #readLarge(keys: readonly Buffer[], counts: readonly Counted[]): Promise<readonly Counted[]> {
    const all = [...counts];
    const left = keys.flatMap((_key, at) => (counts[at] === NOT_READ ? [at] : []));
    for (const places of batchesOf(left, COUNT_BATCH_SIZE)) {
      const outcomes = await this.#cache.readMany(
        places.map((at) => keys[at]),
        Infinity,
        { reader: this.#reader },
      );
      this.#countsOf(outcomes).forEach((count, i) => (all[places[i]] = count));
    }
    // Together they may be more than there is ever room for.
    for (const at of left.filter((place) => all[place] === NOT_READ)) {
      const outcome = await this.#cache.read(keys[at], undefined, { again: true, reader: this.#reader });
      [all[at]] = this.#countsOf([outcome]);
    }
    return all;
  }

  #readExpiries(): Promise<void> | undefined {
    if (this.#expiring.length === 0) return undefined;
    return this.#cache.expiries(this.#expiring).then((outcomes) => {
      this.#repliedAt = Date.now();
      this.#expiries = outcomes;
      for (const outcome of outcomes) this.#reads.query(outcome);
    });
  }

  #readTypes(): Promise<void> | undefined {
    if (this.#typed.length === 0) return undefined;
    return this.#cache.types(this.#typed).then((outcomes) => {
      this.#types = outcomes;
      for (const outcome of outcomes) this.#reads.query(outcome);
    });
  }

  #readsOf(outcomes: Outcomes): readonly Read[] {
    return outcomes.map((outcome) => this.#readOf(outcome));
  }

  #readOf(outcome: ReadOutcome | Omitted): Read {
    if (outcome.kind === 'omitted') return NOT_READ;
    return this.#again ? KeyReads.readAgain(outcome) : this.#reads.read(outcome);
  }

  /** Lets go of the values. */
  #countsOf(outcomes: Outcomes): readonly Counted[] {
    return this.#readsOf(outcomes).map((read) =>
      read !== undefined && 'value' in read ? { value: { length: read.value.length } } : read,
    );
  }
}

type Outcomes = readonly (ReadOutcome | Omitted)[];

/** Calls `settle` at once if the outcomes are known; otherwise later, and returns a promise. */
function whenKnown(
  outcomes: Outcomes | Promise<Outcomes>,
  settle: (outcomes: Outcomes) => Promise<void> | undefined | void,
): Promise<void> | undefined {
  if (outcomes instanceof Promise) return outcomes.then(settle);
  return settle(outcomes) ?? undefined;
}

/** Appends copies of keys; returns the index of the first of them. */
function append(target: Buffer[], keys: readonly Buffer[]): number {
  const from = target.length;
  for (const key of keys) target.push(Buffer.from(key));
  return from;
}

function* batchesOf<Item>(items: readonly Item[], size: number): Iterable<readonly Item[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size);
}
