import type { KeyCommand } from '../../redis-commands/key-command-table.ts';
import type { Client } from '../server/client.ts';
import type { Reply } from '../protocol/reply.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';

/** What is written now, or how to write it once it is known. */
export type Replied = void | Promise<Reply>;

/**
 * Carries a command out.
 *
 * @param args its arguments after the name, as many as its arity says: views of bytes that change once this has returned.
 */
export type Handler = (args: readonly Buffer[], client: Client, out: ReplyWriter) => Replied;

/** A command, or a subcommand, that can be executed. */
export interface Executable {
  /** In small letters; that of a subcommand after its container's and a `|`. */
  readonly name: string;
  /** Arguments with the name, or both names, or, below 0, the least number of them. */
  readonly arity: number;
  readonly flags: readonly string[];
  /** ACL categories, as Redis names them, beyond those that follow from the flags. */
  readonly categories: readonly string[];
  /** First and last argument that is a key, and the step between them; negative: from the end. */
  readonly keys: readonly [first: number, last: number, step: number];
  /** Returns the error with which arguments are refused before anything is executed or queued. */
  readonly refuse?: (args: readonly Buffer[]) => string | undefined;
  /** What the command reads, if it reads keys; all others write their reply at once. */
  readonly reads?: KeyCommand;
  readonly run: Handler;
}

/** A command, with what `COMMAND` and `COMMAND DOCS` tell of it. */
export interface RespCommand extends Executable {
  readonly summary: string;
  readonly since: string;
  readonly group: 'string' | 'generic' | 'connection' | 'server' | 'transactions' | 'cluster';
  /** By the second argument, in small letters; if there is one, it must be one of these. */
  readonly subcommands?: ReadonlyMap<string, Executable>;
}

/** What differs from one subcommand to the next. */
export interface Subcommand {
  /** In small letters, without its container's. */
  readonly name: string;
  readonly flags?: readonly string[];
  /** Arguments with both names, or, below 0, the least number of them. */
  readonly arity: number;
  readonly run: Handler;
}

/** A command that has nothing but subcommands, one of which is HELP. */
export interface Container {
  readonly name: string;
  /** Flags of its subcommands, unless they have others. */
  readonly flags: readonly string[];
  /** Of its subcommands. */
  readonly categories: readonly string[];
  readonly subcommands: readonly Subcommand[];
  /** Lines of HELP about the subcommands, as Redis words them. */
  readonly help: readonly string[];
}

/** The subcommands of a container, by their names. */
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
  'string',
  'admin',
  'fast',
  'slow',
  'dangerous',
  'connection',
  'transaction',
];

/** ACL categories of a command, in Redis' order. */
export function categoriesOf({ flags, categories }: Executable): readonly string[] {
  const all = new Set(categories);
  if (flags.includes('readonly')) all.add('read');
  if (flags.includes('admin')) all.add('admin').add('dangerous');
  all.add(flags.includes('fast') ? 'fast' : 'slow');
  return CATEGORY_ORDER.filter((category) => all.has(category));
}
