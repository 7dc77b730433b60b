import type { ReadCounter, ReadMetrics } from '../../instance/read-metrics.ts';
import { keysOf } from '../../redis-commands/key-command-table.ts';
import type { KeyReads } from '../../redis-commands/key-reads.ts';
import type { RefusedCommands } from '../../redis-commands/refused-commands.ts';
import { MAX_ECHOED_BYTES, matchesArity, wrongArguments } from '../../redis-commands/error-replies.ts';
import { refusalOf } from '../../redis-commands/refusals.ts';
import type { Client } from '../server/client.ts';
import type { Replied } from './resp-command.ts';
import type { CommandTable, Resolved, Unresolved } from './command-table.ts';
import type { ReplyWriter } from '../protocol/reply-writer.ts';
import type { TransactionCommands } from './transaction-commands.ts';

const NOT_AUTHENTICATED = 'NOAUTH Authentication required.';

/** Dependencies of {@link Dispatcher}. */
export interface DispatcherParts {
  readonly table: CommandTable;
  readonly counter: ReadCounter;
  readonly counts: ReadMetrics;
  /** Checks whether keys may be read. */
  readonly reads: KeyReads;
  readonly refused: RefusedCommands;
  readonly transactions: TransactionCommands;
}

/** Resolves, checks, and executes or queues the command of a request. The checks run in the same order as in Redis. */
export class Dispatcher {
  readonly #table: CommandTable;
  readonly #counter: ReadCounter;
  readonly #counts: ReadMetrics;
  readonly #reads: KeyReads;
  readonly #refused: RefusedCommands;
  readonly #transactions: TransactionCommands;

  constructor({ table, counter, counts, reads, refused, transactions }: DispatcherParts) {
    this.#table = table;
    this.#counter = counter;
    this.#counts = counts;
    this.#reads = reads;
    this.#refused = refused;
    this.#transactions = transactions;
  }

  /**
   * Executes a request, or queues it in the client's transaction.
   *
   * @param request a command's name and its arguments: views that are only valid during the call.
   * @param excess the error if the request is too large: `request` is then the command name only.
   */
  execute(request: readonly Buffer[], client: Client, out: ReplyWriter, excess?: string): Replied {
    const found = this.#table.resolve(request);
    const replied = this.#execute(found, request, client, out, excess);
    const { tracking } = client;
    // As in Redis, CLIENT CACHING applies to the next command, or to the next transaction.
    if (tracking !== undefined && client.transaction === undefined && !isClientCommand(found)) tracking.caching = false;
    return replied;
  }

  #execute(
    found: Resolved | Unresolved,
    request: readonly Buffer[],
    client: Client,
    out: ReplyWriter,
    excess: string | undefined,
  ): Replied {
    if ('error' in found) return this.#reject(this.#unknown(found, client), undefined, client, out);
    const { command, args } = found;
    if (excess !== undefined) return this.#reject(excess, command.name, client, out);
    const refused = this.#refuse(found, client);
    if (refused !== undefined) return this.#reject(refused, command.name, client, out);
    const { transaction } = client;
    if (transaction === undefined || !this.#transactions.queues(command)) {
      // As in Redis, queued commands count when they are executed.
      client.tracking?.note(command, args);
      this.#counts.countCommands(command.name === 'exec' ? 1 + (transaction?.length ?? 0) : 1);
      return command.run(args, client, out);
    }
    const full = this.#transactions.queue(request, transaction);
    if (full !== undefined) return this.#reject(full, command.name, client, out);
    out.simple('QUEUED');
  }

  /** Whether the reply to a request may contain the values of several keys. */
  isMultiKey(request: readonly Buffer[]): boolean {
    const command = this.#table.get(request[0].toString('latin1', 0, MAX_ECHOED_BYTES));
    return command?.name === 'exec' || (request.length > 2 && command !== undefined && command.keys[1] < 0);
  }

  /** Discards the transaction of a client whose connection is closed. */
  forget(client: Client): void {
    this.#transactions.forget(client);
  }

  #unknown({ name, error }: Unresolved, client: Client): string {
    const refusal = refusalOf(name);
    if (!client.authenticated) return refusal === undefined ? error : NOT_AUTHENTICATED;
    this.#refused.count('resp', name);
    return refusal ?? error;
  }

  #refuse({ command, args }: Resolved, client: Client): string | undefined {
    const names = command.name.includes('|') ? 2 : 1;
    if (!matchesArity(command.arity, args.length + names)) return wrongArguments(command.name);
    if (!client.authenticated && !command.flags.includes('no_auth')) {
      if (command.flags.includes('readonly')) this.#counter.countRead('resp', 'unauthorized');
      return NOT_AUTHENTICATED;
    }
    const denied = this.#reads.checkKeys(keysOf(command.keys, args));
    if (denied !== undefined) return denied;
    const refused = command.checkArguments?.(args);
    if (refused !== undefined) this.#refused.count('resp', command.name);
    return refused;
  }

  /** Replies with an error and aborts the client's transaction, whether the command was queued into it or EXEC itself. */
  #reject(error: string, name: string | undefined, client: Client, out: ReplyWriter): void {
    client.transaction?.abort();
    if (name !== 'exec') return out.error(error);
    this.#transactions.forget(client);
    out.error(`EXECABORT Transaction discarded because of: ${error.replace(/^[A-Z]+ /, '')}`);
  }
}

function isClientCommand(found: Resolved | Unresolved): boolean {
  return 'command' in found && found.command.name.startsWith('client');
}
