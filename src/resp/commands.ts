import type { ReadCounter } from '../cache/request-counts.ts';
import { MAX_REPEATED, READ_ONLY, fits, unknownCommand, wrongArguments } from '../commands/refusals.ts';
import { WRITE_COMMANDS } from '../commands/write-commands.ts';
import type { Client } from './client.ts';
import type { Command, Replied } from './command.ts';
import type { ReplyWriter } from './reply-writer.ts';

const NOT_AUTHENTICATED = 'NOAUTH Authentication required.';

/** Finds the command that a request names, and carries it out if it may be. The checks and their order are Redis'. */
export class Commands {
  readonly #table: ReadonlyMap<string, Command>;
  readonly #counts: ReadCounter;

  /** @param table the commands by their names. */
  constructor(table: ReadonlyMap<string, Command>, counts: ReadCounter) {
    this.#table = table;
    this.#counts = counts;
  }

  /** @param request a command's name and its arguments: views, as {@link Command.run} takes them. */
  execute(request: readonly Buffer[], client: Client, out: ReplyWriter): Replied {
    const name = request[0].toString('latin1', 0, MAX_REPEATED);
    const lower = name.toLowerCase();
    const command = this.#table.get(lower);
    if (command === undefined) {
      if (!WRITE_COMMANDS.has(lower)) return out.error(unknownCommand(name));
      return out.error(client.authenticated ? READ_ONLY : NOT_AUTHENTICATED);
    }
    if (!fits(command.arity, request.length)) return out.error(wrongArguments(command.name));
    if (!client.authenticated && !command.flags.includes('no_auth')) {
      if (command.flags.includes('readonly')) this.#counts.countRead('resp', 'unauthorized');
      return out.error(NOT_AUTHENTICATED);
    }
    return command.run(request.slice(1), client, out);
  }

  /** Whether the command that a request names is one of as many keys as there are arguments. */
  takesMany([name]: readonly Buffer[]): boolean {
    return this.#table.get(name.toString('latin1', 0, MAX_REPEATED).toLowerCase())?.keys[1] === -1;
  }
}
