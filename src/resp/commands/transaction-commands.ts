import type { ReadPlan } from '../../redis-commands/read-plan.ts';
import type { Client } from '../server/client.ts';
import type { RespCommand, Executable, Replied } from './resp-command.ts';
import type { CommandTable, Resolved } from './command-table.ts';
import { ReplyWriter } from '../protocol/reply-writer.ts';
import { Transaction } from '../server/transaction.ts';
import { replyWith } from './reply-when-read.ts';

/** Maximum number of commands in one transaction. */
const MAX_COMMANDS = 10_000;
/** Maximum total size of the arguments of one transaction. */
const MAX_ARGUMENT_BYTES = 1024 * 1024;
/** Maximum total size of the arguments of all transactions of this thread. */
const MAX_THREAD_ARGUMENT_BYTES = 64 * 1024 * 1024;
/** Maximum size of the replies that EXEC buffers until the keys have been read: those of commands without keys. */
const MAX_BUFFERED_REPLY_BYTES = 2 * 1024 * 1024;

const ABORTED = 'EXECABORT Transaction discarded because of previous errors.';
const TOO_MANY_COMMANDS = `ERR transaction exceeds ${MAX_COMMANDS} commands`;
const ARGUMENTS_TOO_LARGE = `ERR transaction arguments exceed ${MAX_ARGUMENT_BYTES} bytes`;
const THREAD_LIMIT_REACHED = `ERR queued transactions exceed ${MAX_THREAD_ARGUMENT_BYTES} bytes`;
const REPLIES_TOO_LARGE = `ERR transaction replies exceed ${MAX_BUFFERED_REPLY_BYTES} bytes`;

/** Commands that are executed at once, even between MULTI and EXEC. */
const NEVER_QUEUED: ReadonlySet<string> = new Set(['multi', 'exec', 'discard', 'watch', 'quit', 'reset']);

/** Writes one element of the reply to EXEC. */
type WriteElement = (out: ReplyWriter) => void;

/**
 * MULTI, EXEC, DISCARD, WATCH and UNWATCH. The proxy is read-only, so WATCH has no effect and EXEC always executes. The
 * keys of a transaction are read together, like those of MGET; they are not a consistent snapshot.
 */
export class TransactionCommands {
  readonly #plan: (client: Client) => ReadPlan;
  readonly #table: CommandTable;
  /** Encodes the replies that are known when EXEC is executed. */
  readonly #replies = new ReplyWriter();
  #queuedBytes = 0;

  /** @param plan creates an empty plan for the keys of one transaction. */
  constructor(plan: (client: Client) => ReadPlan, table: CommandTable) {
    this.#plan = plan;
    this.#table = table;
  }

  commands(): RespCommand[] {
    const common = { arity: 1, keys: [0, 0, 0], group: 'transactions', categories: ['transaction'] } as const;
    const immediate = { ...common, flags: ['noscript', 'loading', 'stale', 'fast', 'allow_busy'] };
    return [
      {
        ...immediate,
        name: 'multi',
        summary: 'Mark the start of a transaction block',
        since: '1.2.0',
        run: (_args, client, out) => this.#multi(client, out),
      },
      {
        ...common,
        flags: ['noscript', 'loading', 'stale', 'skip_slowlog'],
        name: 'exec',
        summary: 'Execute all commands issued after MULTI',
        since: '1.2.0',
        run: (_args, client, out) => this.#exec(client, out),
      },
      {
        ...immediate,
        name: 'discard',
        summary: 'Discard all commands issued after MULTI',
        since: '2.0.0',
        run: (_args, client, out) => {
          if (client.transaction === undefined) return out.error('ERR DISCARD without MULTI');
          this.forget(client);
          out.simple('OK');
        },
      },
      {
        ...immediate,
        arity: -2,
        keys: [1, -1, 1],
        name: 'watch',
        summary: 'Watch the given keys to determine execution of the MULTI/EXEC block',
        since: '2.2.0',
        run: (_args, client, out) => {
          if (client.transaction === undefined) out.simple('OK');
          else out.error('ERR WATCH inside MULTI is not allowed');
        },
      },
      {
        ...immediate,
        name: 'unwatch',
        summary: 'Forget about all watched keys',
        since: '2.2.0',
        run: (_args, _client, out) => out.simple('OK'),
      },
    ];
  }

  /** Whether a command must be queued between MULTI and EXEC instead of being executed. */
  queues({ name }: Executable): boolean {
    return !NEVER_QUEUED.has(name);
  }

  /** Queues a request that has passed all checks; returns an error if a limit is exceeded. */
  queue(request: readonly Buffer[], transaction: Transaction): string | undefined {
    // EXEC will discard the transaction.
    if (transaction.aborted) return undefined;
    const bytes = request.reduce((sum, arg) => sum + arg.length, 0);
    if (transaction.length >= MAX_COMMANDS) return TOO_MANY_COMMANDS;
    if (transaction.bytes + bytes > MAX_ARGUMENT_BYTES) return ARGUMENTS_TOO_LARGE;
    if (this.#queuedBytes + bytes > MAX_THREAD_ARGUMENT_BYTES) return THREAD_LIMIT_REACHED;
    transaction.add(request);
    this.#queuedBytes += bytes;
    return undefined;
  }

  /** Discards a client's transaction, if there is one. */
  forget(client: Client): void {
    this.#queuedBytes -= client.transaction?.bytes ?? 0;
    client.transaction = undefined;
  }

  #multi(client: Client, out: ReplyWriter): void {
    if (client.transaction !== undefined) return out.error('ERR MULTI calls can not be nested');
    client.transaction = new Transaction();
    out.simple('OK');
  }

  #exec(client: Client, out: ReplyWriter): Replied {
    const { transaction } = client;
    if (transaction === undefined) return out.error('ERR EXEC without MULTI');
    if (transaction.aborted) {
      this.forget(client);
      return out.error(ABORTED);
    }
    const { protocol } = client;
    const plan = this.#plan(client);
    let elements: WriteElement[];
    try {
      elements = this.#execute(transaction, client, plan);
    } finally {
      this.forget(client);
    }
    const write = (): void => {
      out.protocol = protocol;
      out.array(elements.length);
      for (const element of elements) element(out);
    };
    return replyWith(plan, client, write);
  }

  /** Executes the commands without keys, in order, and adds the keys of the others to the plan. */
  #execute(transaction: Transaction, client: Client, plan: ReadPlan): WriteElement[] {
    const elements: WriteElement[] = [];
    let replyBytes = 0;
    for (const request of transaction.requests()) {
      const { command, args } = this.#table.resolve(request) as Resolved;
      client.tracking?.note(command, args);
      if (command.reads !== undefined) {
        const { protocol } = client;
        const write = plan.add(command.reads, args);
        elements.push((out) => {
          out.protocol = protocol;
          write(out);
        });
      } else if (replyBytes >= MAX_BUFFERED_REPLY_BYTES) {
        elements.push((out) => out.error(REPLIES_TOO_LARGE));
      } else {
        const parts = this.#write(command, args, client);
        for (const part of parts) replyBytes += part.length;
        elements.push((out) => out.put(parts));
      }
    }
    return elements;
  }

  #write(command: Executable, args: readonly Buffer[], client: Client): readonly Buffer[] {
    const out = this.#replies;
    out.protocol = client.protocol;
    try {
      void command.run(args, client, out);
      return out.take();
    } finally {
      // If the command throws, no partial reply may remain for another client.
      out.clear();
    }
  }
}
