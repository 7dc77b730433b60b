import type { ReadCounter } from '../cache/request-counts.ts';
import { keysOf } from '../commands/key-command.ts';
import type { KeyReads } from '../commands/key-reads.ts';
import { MAX_REPEATED, READ_ONLY, fits, wrongArguments } from '../commands/refusals.ts';
import { WRITE_COMMANDS } from '../commands/write-commands.ts';
import type { Client } from './client.ts';
import type { Replied } from './command.ts';
import type { CommandTable, Resolved } from './command-table.ts';
import type { ReplyWriter } from './reply-writer.ts';
import type { TransactionCommands } from './transaction-commands.ts';

const NOT_AUTHENTICATED = 'NOAUTH Authentication required.';

/** What the dispatcher uses of other parts. */
export interface CommandsParts {
  readonly table: CommandTable;
  readonly counts: ReadCounter;
  /** Refuses keys that must not be read. */
  readonly reads: KeyReads;
  readonly transactions: TransactionCommands;
}

/** Finds the command that a request names, and executes or queues it if it may be. The checks and their order are Redis'. */
export class Commands {
  readonly #table: CommandTable;
  readonly #counts: ReadCounter;
  readonly #reads: KeyReads;
  readonly #transactions: TransactionCommands;

  constructor({ table, counts, reads, transactions }: CommandsParts) {
    this.#table = table;
    this.#counts = counts;
    this.#reads = reads;
    this.#transactions = transactions;
  }

  /** @param request a command's name and its arguments: views, as {@link Executable.run} takes them. */
  execute(request: readonly Buffer[], client: Client, out: ReplyWriter): Replied {
    const found = this.#table.resolve(request);
    if (typeof found === 'string')
      return this.#reject(this.#unknown(request[0], found, client), undefined, client, out);
    const { command, args } = found;
    const refused = this.#refuse(found, client);
    if (refused !== undefined) return this.#reject(refused, command.name, client, out);
    const { transaction } = client;
    if (transaction === undefined || !this.#transactions.queues(command)) return command.run(args, client, out);
    const full = this.#transactions.queue(request, transaction);
    if (full !== undefined) return this.#reject(full, command.name, client, out);
    out.simple('QUEUED');
  }

  /** Whether the reply to a request may have values of many keys. */
  takesMany(request: readonly Buffer[]): boolean {
    const command = this.#table.get(request[0].toString('latin1', 0, MAX_REPEATED));
    return command?.name === 'exec' || (request.length > 2 && command?.keys[1] === -1);
  }

  /** Ends what a client has begun, once its connection is closed. */
  forget(client: Client): void {
    this.#transactions.forget(client);
  }

  #unknown(name: Buffer, error: string, client: Client): string {
    if (!WRITE_COMMANDS.has(name.toString('latin1', 0, MAX_REPEATED).toLowerCase())) return error;
    return client.authenticated ? READ_ONLY : NOT_AUTHENTICATED;
  }

  #refuse({ command, args }: Resolved, client: Client): string | undefined {
    const names = command.name.includes('|') ? 2 : 1;
    if (!fits(command.arity, args.length + names)) return wrongArguments(command.name);
    if (!client.authenticated && !command.flags.includes('no_auth')) {
      if (command.flags.includes('readonly')) this.#counts.countRead('resp', 'unauthorized');
      return NOT_AUTHENTICATED;
    }
    return this.#reads.refuse(keysOf(command.keys, args)) ?? command.refuse?.(args);
  }

  /** A command that is refused makes the transaction fail that it was to be part of, or to execute. */
  #reject(error: string, name: string | undefined, client: Client, out: ReplyWriter): void {
    client.transaction?.abort();
    if (name !== 'exec') return out.error(error);
    this.#transactions.forget(client);
    out.error(`EXECABORT Transaction discarded because of: ${error.replace(/^[A-Z]+ /, '')}`);
  }
}
