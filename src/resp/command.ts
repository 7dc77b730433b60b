import { fits, wrongArguments } from '../commands/refusals.ts';
import type { Client } from './client.ts';
import type { Reply } from './reply-queue.ts';
import type { ReplyWriter } from './reply-writer.ts';

/** What is written now, or how to write it once it is known. */
export type Replied = void | Promise<Reply>;

/**
 * Carries a command out.
 *
 * @param args its arguments after the name, as many as its arity says: views of bytes that change once this has returned.
 */
export type Handler = (args: readonly Buffer[], client: Client, out: ReplyWriter) => Replied;

/** A command, with what `COMMAND` and `COMMAND DOCS` tell of it. */
export interface Command {
  /** In small letters; that of a subcommand after its container's and a `|`. */
  readonly name: string;
  /** Arguments with the name, or, below 0, the least number of them. */
  readonly arity: number;
  readonly flags: readonly string[];
  /** First and last argument that is a key, and the step between them; negative: from the end. */
  readonly keys: readonly [first: number, last: number, step: number];
  readonly summary: string;
  readonly since: string;
  readonly group: 'string' | 'generic' | 'connection' | 'server';
  readonly run: Handler;
}

/** A command that must be one of several subcommands. */
export interface Subcommand {
  /** Arguments with both names, or, below 0, the least number of them. */
  readonly arity: number;
  readonly run: Handler;
}

/** Carries out the subcommand that the first argument names. */
export function container(name: string, subcommands: ReadonlyMap<string, Subcommand>): Handler {
  return (args, client, out) => {
    const given = args[0].toString('latin1');
    const found = subcommands.get(given.toLowerCase());
    if (found === undefined)
      return out.error(`ERR unknown subcommand '${given.slice(0, 128)}'. Try ${name.toUpperCase()} HELP.`);
    if (!fits(found.arity, args.length + 1)) return out.error(wrongArguments(`${name}|${given.toLowerCase()}`));
    return found.run(args.slice(1), client, out);
  };
}
