import { setImmediate as nextMacrotask } from 'node:timers/promises';
import type { ReadClient, Reservation } from '../cache/read-through/buffered-bytes.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { Omitted } from '../cache/read-through/bounded-results.ts';
import type { TtlOutcome, TypeOutcome } from '../cache/read-through/key-queries.ts';
import type { ManyOutcomes } from '../cache/read-through/read-through.ts';
import type { ReadOutcome } from '../cache/read-through/read-outcome.ts';
import { type KeyCommand, type ValueCommand, keysOf } from './key-command-table.ts';
import { KeyReads } from './key-reads.ts';
import type { LengthResult, ReadResult, ReplySink } from './key-replies.ts';
import { Query } from '../redis/query.ts';

/** Writes the reply to a command whose keys have been read. */
export type WriteReply = (out: ReplySink) => void;

/**
 * Maximum number of keys that are looked up and read from Redis without a pause. More keys are read in several batches,
 * between which the thread serves other clients.
 */
const READ_BATCH_SIZE = 1000;
/** Maximum total size of the values that are buffered at once to count keys or bytes. */
const MAX_COUNTED_BYTES = 16 * 1024 * 1024;
/** Number of values buffered at once when the values of a larger batch exceed {@link MAX_COUNTED_BYTES}. */
const COUNT_BATCH_SIZE = 32;

const OMITTED: ReadResult = { failure: 'too-large' };

/** Collects the keys of one or several commands, reads them together, and provides them to the replies. */
export class ReadPlan {
  readonly #cache: CacheService;
  readonly #reads: KeyReads;
  readonly #maxBytes: number;
  readonly #client: ReadClient | undefined;
  /** Whether the values are being read again: the reads have been counted already. */
  #rereading = false;
  readonly #valueKeys: Buffer[] = [];
  readonly #countKeys: Buffer[] = [];
  readonly #ttlKeys: Buffer[] = [];
  readonly #typeKeys: Buffer[] = [];
  #values: readonly ReadResult[] = [];
  #counts: readonly LengthResult[] = [];
  #ttls: readonly TtlOutcome[] = [];
  #types: readonly TypeOutcome[] = [];
  #ttlsReadAt = 0;

  /**
   * @param maxBytes maximum total size of the values; keys beyond it get an error in their replies.
   * @param client the client that the keys are read for.
   */
  constructor(cache: CacheService, reads: KeyReads, maxBytes: number, client?: ReadClient) {
    this.#client = client;
    this.#cache = cache;
    this.#reads = reads;
    this.#maxBytes = maxBytes;
  }

  /** Number of keys of all commands. */
  get keyCount(): number {
    return this.#valueKeys.length + this.#countKeys.length + this.#ttlKeys.length + this.#typeKeys.length;
  }

  /**
   * Adds the keys of a command; they must have been checked with {@link KeyReads.checkKeys}.
   *
   * @param args arguments after the name, whose number matches the arity; keys are copied.
   * @returns a function that writes the reply after {@link read}, or an error if an argument is invalid.
   */
  add(command: KeyCommand, args: readonly Buffer[]): WriteReply | string {
    const keys = keysOf(command.keys, args);
    switch (command.returns) {
      case 'values':
        return this.#addValues(command, args, keys);
      case 'count': {
        const from = append(this.#countKeys, keys);
        return (out) => command.write(this.#counts.slice(from, from + keys.length), out);
      }
      case 'ttl': {
        const at = append(this.#ttlKeys, keys);
        return (out) => command.write(this.#ttls[at], out, this.#ttlsReadAt);
      }
      case 'type': {
        const at = append(this.#typeKeys, keys);
        return (out) => command.write(this.#types[at], out);
      }
    }
  }

  /** Reads all keys; returns undefined if all were cached, so that the replies can be written at once. */
  read(): Promise<void> | undefined {
    const parts = [this.#readValues(), this.#readCounts(), this.#readTtls(), this.#readTypes()];
    const pending = parts.filter((part) => part !== undefined);
    return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
  }

  /** The values that stay buffered until the replies are written. */
  get values(): readonly Buffer[] {
    return this.#values.flatMap((read) => (read !== undefined && 'value' in read ? [read.value] : []));
  }

  /** Discards the values; {@link readAgain} must follow before the replies are written. */
  discardValues(): void {
    this.#values = [];
  }

  /**
   * Reads discarded values again, without counting the reads.
   *
   * @param reservation buffer space reserved for them; values beyond it get an error in their replies.
   */
  async readAgain(reservation?: Reservation): Promise<void> {
    this.#rereading = true;
    await this.#readValues(reservation);
  }

  #addValues({ reply }: ValueCommand, args: readonly Buffer[], keys: readonly Buffer[]): WriteReply | string {
    const write = reply(args);
    if (typeof write === 'string') return write;
    const from = append(this.#valueKeys, keys);
    return (out) => write(this.#values.slice(from, from + keys.length), out);
  }

  #readValues(reservation?: Reservation): Promise<void> | undefined {
    if (this.#valueKeys.length === 0) return undefined;
    const options = { alreadyCounted: this.#rereading, client: this.#client, reservation };
    const apply = (outcomes: ManyOutcomes): void => void (this.#values = this.#resultsOf(outcomes));
    if (this.#valueKeys.length > 1 || reservation !== undefined)
      return applyWhenReady(
        this.#cache.readMany(
          this.#valueKeys.map((key) => Query.get(key)),
          this.#maxBytes,
          options,
        ),
        apply,
      );
    const outcome = this.#cache.read(Query.get(this.#valueKeys[0]), undefined, options);
    if (outcome instanceof Promise) return outcome.then((one) => apply([one]));
    apply([outcome]);
    return undefined;
  }

  #readCounts(): Promise<void> | undefined {
    const keys = this.#countKeys;
    if (keys.length > READ_BATCH_SIZE) return this.#readCountsInBatches();
    if (keys.length === 0) return undefined;
    return applyWhenReady(
      this.#cache.readMany(
        keys.map((key) => Query.get(key)),
        MAX_COUNTED_BYTES,
        { client: this.#client },
      ),
      (outcomes) => {
        const counts = this.#countsOf(outcomes);
        if (!counts.includes(OMITTED)) this.#counts = counts;
        else return this.#readLarge(keys, counts).then((all) => void (this.#counts = all));
      },
    );
  }

  async #readCountsInBatches(): Promise<void> {
    const counts: LengthResult[] = [];
    for (const keys of batchesOf(this.#countKeys, READ_BATCH_SIZE)) {
      if (counts.length > 0) await nextMacrotask();
      const found = this.#countsOf(
        await this.#cache.readMany(
          keys.map((key) => Query.get(key)),
          MAX_COUNTED_BYTES,
          { client: this.#client },
        ),
      );
      counts.push(...(await this.#readLarge(keys, found)));
    }
    this.#counts = counts;
  }

  /** Reads the omitted values in small batches. */
  async #readLarge(keys: readonly Buffer[], counts: readonly LengthResult[]): Promise<readonly LengthResult[]> {
    const all = [...counts];
    const missing = keys.flatMap((_key, at) => (counts[at] === OMITTED ? [at] : []));
    for (const indices of batchesOf(missing, COUNT_BATCH_SIZE)) {
      const outcomes = await this.#cache.readMany(
        indices.map((at) => keys[at]).map((key) => Query.get(key)),
        Infinity,
        { client: this.#client },
      );
      this.#countsOf(outcomes).forEach((count, i) => (all[indices[i]] = count));
    }
    // A batch may exceed the whole buffer space: read what is still missing one by one.
    for (const at of missing.filter((index) => all[index] === OMITTED)) {
      const outcome = await this.#cache.read(Query.get(keys[at]), undefined, {
        alreadyCounted: true,
        client: this.#client,
      });
      [all[at]] = this.#countsOf([outcome]);
    }
    return all;
  }

  #readTtls(): Promise<void> | undefined {
    if (this.#ttlKeys.length === 0) return undefined;
    return this.#cache.queries.ttls(this.#ttlKeys).then((outcomes) => {
      this.#ttlsReadAt = Date.now();
      this.#ttls = outcomes;
      for (const outcome of outcomes) this.#reads.countQuery(outcome);
    });
  }

  #readTypes(): Promise<void> | undefined {
    if (this.#typeKeys.length === 0) return undefined;
    return this.#cache.queries.types(this.#typeKeys).then((outcomes) => {
      this.#types = outcomes;
      for (const outcome of outcomes) this.#reads.countQuery(outcome);
    });
  }

  #resultsOf(outcomes: ManyOutcomes): readonly ReadResult[] {
    return outcomes.map((outcome) => this.#resultOf(outcome));
  }

  #resultOf(outcome: ReadOutcome | Omitted): ReadResult {
    if (outcome.kind === 'omitted') return OMITTED;
    if (outcome.kind === 'stale') this.#client?.noteStale?.();
    return this.#rereading ? KeyReads.toResult(outcome) : this.#reads.record(outcome);
  }

  /** Reduces values to their lengths, so that their memory can be freed. */
  #countsOf(outcomes: ManyOutcomes): readonly LengthResult[] {
    return this.#resultsOf(outcomes).map((read) =>
      read !== undefined && 'value' in read ? { value: { length: read.value.length } } : read,
    );
  }
}

/** Calls `apply` with the outcomes: at once if they are known, otherwise later, in which case it returns a promise. */
function applyWhenReady(
  outcomes: ManyOutcomes | Promise<ManyOutcomes>,
  apply: (outcomes: ManyOutcomes) => Promise<void> | undefined | void,
): Promise<void> | undefined {
  if (outcomes instanceof Promise) return outcomes.then(apply);
  return apply(outcomes) ?? undefined;
}

/** Appends copies of keys; returns the index of the first copy. */
function append(target: Buffer[], keys: readonly Buffer[]): number {
  const from = target.length;
  for (const key of keys) target.push(Buffer.from(key));
  return from;
}

function* batchesOf<Item>(items: readonly Item[], size: number): Iterable<readonly Item[]> {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size);
}
