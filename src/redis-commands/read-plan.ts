import type { Omitted } from '../cache/read-through/many-keys/bounded-results.ts';
import type { ReadClient, Reservation } from '../cache/read-through/buffered-bytes.ts';
import type { TtlOutcome } from '../cache/read-through/key-queries.ts';
import type { ReadOutcome } from '../cache/read-through/read-outcome.ts';
import type { ManyOutcomes } from '../cache/read-through/read-through.ts';
import type { CacheService } from '../cache/cache.service.ts';
import type { Query } from '../redis/query.ts';
import { type KeyCommand } from './key-command.ts';
import { KeyReads } from './key-reads.ts';
import { type ReadResult, type ReplySink, type WriteResults, writeReply } from './key-replies.ts';

/** Writes the reply to a command whose queries have been read. */
export type WriteReply = (out: ReplySink) => void;

const OMITTED: ReadResult = { failure: 'too-large' };

/** Collects the queries of one or several commands, reads them together, and provides their results to the replies. */
export class ReadPlan {
  readonly #cache: CacheService;
  readonly #reads: KeyReads;
  readonly #maxBytes: number;
  readonly #client: ReadClient | undefined;
  /** Whether the results are being read again: the reads have been counted already. */
  #rereading = false;
  readonly #values: Query[] = [];
  /**
   * Queries of commands that say something about values without returning them. Their results are a few bytes each, so they
   * are read first: values that exceed the limit do not omit them.
   */
  readonly #metadata: Query[] = [];
  readonly #ttlKeys: Buffer[] = [];
  #results: readonly ReadResult[] = [];
  #ttls: readonly TtlOutcome[] = [];
  #ttlsReadAt = 0;

  /**
   * @param maxBytes maximum total size of the results; queries beyond it get an error in their replies.
   * @param client the client that the queries are read for.
   */
  constructor(cache: CacheService, reads: KeyReads, maxBytes: number, client?: ReadClient) {
    this.#client = client;
    this.#cache = cache;
    this.#reads = reads;
    this.#maxBytes = maxBytes;
  }

  /** Number of keys of all commands. */
  get keyCount(): number {
    return this.#values.length + this.#metadata.length + this.#ttlKeys.length;
  }

  /**
   * Adds the queries of a command, whose keys must have been checked with {@link KeyReads.checkKeys}.
   *
   * @param args arguments after the name, whose number matches the arity; they are copied.
   * @returns a function that writes the reply after {@link read}.
   */
  add(command: KeyCommand, args: readonly Buffer[]): WriteReply {
    const isMetadata = command.metadata === true;
    switch (command.returns) {
      case 'reply': {
        const { syntax } = command;
        const { args: canonical, shape } = syntax.parse(args);
        return this.#add(isMetadata, [syntax.query(canonical)], writeReply(shape));
      }
      case 'results':
        return this.#add(isMetadata, command.queries(args), command.write);
      case 'ttl': {
        const at = this.#ttlKeys.push(Buffer.from(args[0])) - 1;
        return (out) => command.write(this.#ttls[at], out, this.#ttlsReadAt);
      }
    }
  }

  /** Reads all queries; returns undefined if all were cached, so that the replies can be written at once. */
  read(): Promise<void> | undefined {
    const parts = [this.#readQueries(), this.#readTtls()];
    const pending = parts.filter((part) => part !== undefined);
    return pending.length === 0 ? undefined : Promise.all(pending).then(() => undefined);
  }

  /** The values that stay buffered until the replies are written. */
  get values(): readonly Buffer[] {
    return this.#results.flatMap((result) => (result !== undefined && 'value' in result ? [result.value] : []));
  }

  /** Discards the values; {@link readAgain} must follow before the replies are written. */
  discardValues(): void {
    this.#results = [];
  }

  /**
   * Reads discarded values again, without counting the reads.
   *
   * @param reservation buffer space reserved for them; values beyond it get an error in their replies.
   */
  async readAgain(reservation?: Reservation): Promise<void> {
    this.#rereading = true;
    await this.#readQueries(reservation);
  }

  #add(isMetadata: boolean, queries: readonly Query[], write: WriteResults): WriteReply {
    const target = isMetadata ? this.#metadata : this.#values;
    const from = target.length;
    for (const query of queries) target.push(query);
    const to = target.length;
    return (out) => {
      const before = isMetadata ? 0 : this.#metadata.length;
      write(this.#results.slice(before + from, before + to), out);
    };
  }

  #readQueries(reservation?: Reservation): Promise<void> | undefined {
    const queries = this.#metadata.length === 0 ? this.#values : [...this.#metadata, ...this.#values];
    if (queries.length === 0) return undefined;
    const options = { alreadyCounted: this.#rereading, client: this.#client, reservation };
    const apply = (outcomes: ManyOutcomes): void =>
      void (this.#results = outcomes.map((outcome) => this.#resultOf(outcome)));
    if (queries.length > 1 || reservation !== undefined) {
      const outcomes = this.#cache.readMany(queries, this.#maxBytes, options);
      if (outcomes instanceof Promise) return outcomes.then(apply);
      return void apply(outcomes);
    }
    const outcome = this.#cache.read(queries[0], undefined, options);
    if (outcome instanceof Promise) return outcome.then((one) => apply([one]));
    return void apply([outcome]);
  }

  #readTtls(): Promise<void> | undefined {
    if (this.#ttlKeys.length === 0) return undefined;
    return this.#cache.queries.ttls(this.#ttlKeys, this.#client).then((outcomes) => {
      this.#ttlsReadAt = Date.now();
      this.#ttls = outcomes;
      for (const outcome of outcomes) this.#reads.countTtl(outcome);
    });
  }

  #resultOf(outcome: ReadOutcome | Omitted): ReadResult {
    if (outcome.kind === 'omitted') return OMITTED;
    if (outcome.kind === 'stale') this.#client?.noteStale?.();
    return this.#rereading ? KeyReads.toResult(outcome) : this.#reads.record(outcome);
  }
}
