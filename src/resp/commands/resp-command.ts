import type { CommandGroup, KeyCommand } from '../../redis-commands/key-command.ts';
import type { Client } from '../server/client.ts';
import type { Reply } from '../protocol/reply.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';

/** Undefined if the reply has been written; otherwise the reply, now or once it is known. */
export type Replied = void | Reply | Promise<Reply>;

/**
 * Executes a command.
 *
 * @param args arguments after the name, whose number matches the arity: views that are only valid during the call.
 */
export type Handler = (args: readonly Buffer[], client: Client, out: ReplyWriter) => Replied;

/** A command or subcommand that can be executed. */
export interface Executable {
  /** Lower case; for a subcommand, `container|subcommand`. */
  readonly name: string;
  /** Number of arguments including the name, or both names; if negative, the minimum number. */
  readonly arity: number;
  readonly flags: readonly string[];
  /** ACL categories of Redis beyond the ones implied by the flags. */
  readonly categories: readonly string[];
  /** Positions of the first and the last key argument (negative: from the end) and the step between keys. */
  readonly keys: readonly [first: number, last: number, step: number];
  /** Returns an error if these arguments are not supported, before the command is executed or queued. */
  readonly checkArguments?: (args: readonly Buffer[]) => string | undefined;
  /** The description of a command that reads keys; all other commands write their reply at once. */
  readonly reads?: KeyCommand;
  readonly run: Handler;
}

/** A command, with its documentation for `COMMAND DOCS`. */
export interface RespCommand extends Executable {
  readonly summary: string;
  readonly since: string;
  readonly group: CommandGroup | 'connection' | 'server' | 'transactions' | 'cluster';
  /** Subcommands by lower-case name. If present, the second argument must be one of them. */
  readonly subcommands?: ReadonlyMap<string, Executable>;
}

/** A subcommand of a {@link Container}. */
export interface Subcommand {
  /** Lower case, without the container's name. */
  readonly name: string;
  readonly flags?: readonly string[];
  /** Number of arguments including both names; if negative, the minimum number. */
  readonly arity: number;
  readonly run: Handler;
}

/** A command that consists of subcommands, one of which is HELP. */
export interface Container {
  readonly name: string;
  /** Default flags of the subcommands. */
  readonly flags: readonly string[];
  /** ACL categories of the subcommands. */
  readonly categories: readonly string[];
  readonly subcommands: readonly Subcommand[];
  /** Lines of HELP about the subcommands, worded as in Redis. */
  readonly help: readonly string[];
}

/** Returns the subcommands of a container by name, HELP included. */
export function subcommandsOf({ name, flags, categories, subcommands, help }: Container) {
  const title = `${name.toUpperCase()} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`;
  const lines = [title, ...help, 'HELP', '    Prints this help.'];
  const printHelp: Handler = (_args, _client, out) => {
    out.array(lines.length);
    for (const line of lines) out.simple(line);
  };
  const all = [...subcommands, { name: 'help', arity: 2, flags: ['loading', 'stale'], run: printHelp }];
  const common = { flags, categories, keys: [0, 0, 0] } as const;
  return new Map<string, Executable>(
    all.map((each) => [each.name, { ...common, ...each, name: `${name}|${each.name}` }]),
  );
}

const CATEGORY_ORDER = [
  'keyspace',
  'read',
  'set',
  'sortedset',
  'list',
  'hash',
  'string',
  'bitmap',
  'geo',
  'stream',
  'admin',
  'fast',
  'slow',
  'dangerous',
  'connection',
  'transaction',
];

/** Returns the ACL categories of a command, in the order of Redis. */
export function categoriesOf({ flags, categories }: Executable): readonly string[] {
  const all = new Set(categories);
  if (flags.includes('readonly')) all.add('read');
  if (flags.includes('admin')) all.add('admin').add('dangerous');
  all.add(flags.includes('fast') ? 'fast' : 'slow');
  return CATEGORY_ORDER.filter((category) => all.has(category));
}
