import type { TtlOutcome } from '../cache/read-through/key-queries.ts';
import type { Query } from '../redis/query.ts';
import type { ReplySink, WriteResults } from './key-replies.ts';
import type { QuerySyntax } from './query-encoder.ts';

/** A command that reads keys, independent of the transport. */
export type KeyCommand = KeyCommandDescription & (ReplyCommand | ResultsCommand | TtlCommand);

/** Groups of commands in Redis' documentation; `module`: of a module. */
export type CommandGroup =
  'string' | 'bitmap' | 'hash' | 'list' | 'set' | 'sorted-set' | 'geo' | 'stream' | 'generic' | 'module';

/** Description of a command, as `COMMAND` and `COMMAND DOCS` report it. */
export interface KeyCommandDescription {
  /** Lower case. */
  readonly name: string;
  /** Number of arguments including the name; if negative, the minimum number. */
  readonly arity: number;
  readonly flags: readonly string[];
  /** Positions of the first and the last key argument (negative: from the end) and the step between keys. */
  readonly keys: readonly [first: number, last: 1 | -1 | -2, step: 1];
  /** Whether it says something about the value, such as its length, without returning parts of it. */
  readonly metadata?: boolean;
  readonly summary: string;
  readonly since: string;
  readonly group: CommandGroup;
  /** Returns an error if these arguments are not supported, before any key is read. */
  readonly checkArguments?: (args: readonly Buffer[]) => string | undefined;
  /**
   * Returns a function that writes the reply if the only key has this value, a string; undefined if Redis must validate the
   * arguments.
   */
  readonly fromValue?: ((args: readonly Buffer[]) => WriteFromValue | undefined) | undefined;
}

export type WriteFromValue = (value: Buffer, out: ReplySink) => void;

/** A command about one key, whose reply is cached as Redis sends it. */
export interface ReplyCommand {
  readonly returns: 'reply';
  readonly syntax: QuerySyntax;
}

/** A command whose reply is made of the results of queries, which are cached each. */
interface ResultsCommand {
  readonly returns: 'results';
  /**
   * Returns the queries, which have copies of the arguments.
   *
   * @param args arguments after the name, whose number matches the arity.
   */
  readonly queries: (args: readonly Buffer[]) => readonly Query[];
  /** Syntax of the query that the command is if it has one argument, and whose reply is its own. */
  readonly single?: QuerySyntax;
  readonly write: WriteResults;
}

/** A command about a key's time to live, which is never cached. */
export interface TtlCommand {
  readonly returns: 'ttl';
  /** @param readAt when Redis replied, in milliseconds since the Unix epoch. */
  readonly write: (outcome: TtlOutcome, out: ReplySink, readAt: number) => void;
}
