import type { ReadPlan } from '../../redis-commands/read-plan.ts';
import type { Client } from '../server/client.ts';
import type { RespCommand, Executable, Replied } from './resp-command.ts';
import type { CommandTable, Resolved } from './command-table.ts';
import { ReplyWriter } from '../protocol/reply-writer.ts';
import { Transaction } from '../server/transaction.ts';
import { whenRead } from './reply-when-read.ts';

/** Commands that one transaction may have. */
const MAX_COMMANDS = 10_000;
/** Bytes of the arguments of one transaction. */
const MAX_BYTES = 1024 * 1024;
/** Bytes of the arguments of all transactions of this thread. */
const MAX_THREAD_BYTES = 64 * 1024 * 1024;
/** Bytes of replies that are written before the values are there: those of commands that read no key. */
const MAX_WRITTEN_BYTES = 2 * 1024 * 1024;

const ABORTED = 'EXECABORT Transaction discarded because of previous errors.';
const TOO_MANY_COMMANDS = `ERR a transaction may have ${MAX_COMMANDS} commands`;
const TOO_MANY_BYTES = `ERR the arguments of a transaction may have ${MAX_BYTES} bytes`;
const TOO_MANY_THREAD_BYTES = 'ERR too many bytes are queued in transactions';
const TOO_MANY_WRITTEN_BYTES = 'ERR the replies to a transaction are too many bytes';

/** Commands that are executed at once, also between MULTI and EXEC. */
const NEVER_QUEUED: ReadonlySet<string> = new Set(['multi', 'exec', 'discard', 'watch', 'quit', 'reset']);

/** Writes one element of EXEC's reply. */
type WriteElement = (out: ReplyWriter) => void;

/**
 * MULTI and what belongs to it. Nothing is ever written here, so WATCH has nothing to do: EXEC always executes. Keys of a
 * transaction are read together, as those of MGET are, which makes no snapshot of them.
 */
export class TransactionCommands {
  readonly #plan: (client: Client) => ReadPlan;
  readonly #table: CommandTable;
  /** Takes the replies that are known when EXEC is executed. */
  readonly #written = new ReplyWriter();
  #queuedBytes = 0;

  /**
   * @param plan makes an empty plan for the keys of one transaction.
   */
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

  /** Queues a request that may be executed; returns the error if there is no room for it. */
  queue(request: readonly Buffer[], transaction: Transaction): string | undefined {
    // EXEC will execute none of them.
    if (transaction.aborted) return undefined;
    const bytes = request.reduce((sum, arg) => sum + arg.length, 0);
    if (transaction.length >= MAX_COMMANDS) return TOO_MANY_COMMANDS;
    if (transaction.bytes + bytes > MAX_BYTES) return TOO_MANY_BYTES;
    if (this.#queuedBytes + bytes > MAX_THREAD_BYTES) return TOO_MANY_THREAD_BYTES;
    transaction.add(request);
    this.#queuedBytes += bytes;
    return undefined;
  }

  /** Ends a client's transaction, if there is one, without executing it. */
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
    const read = plan.read();
    return read === undefined ? write() : whenRead(plan, read, write);
  }

  /** Executes what reads no key, in order, and plans what does. */
  #execute(transaction: Transaction, client: Client, plan: ReadPlan): WriteElement[] {
    const elements: WriteElement[] = [];
    let writtenBytes = 0;
    for (const request of transaction.requests()) {
      const { command, args } = this.#table.resolve(request) as Resolved;
      if (command.reads !== undefined) {
        const { protocol } = client;
        const write = plan.add(command.reads, args);
        elements.push((out) => {
          out.protocol = protocol;
          if (typeof write === 'string') out.error(write);
          else write(out);
        });
      } else if (writtenBytes >= MAX_WRITTEN_BYTES) {
        elements.push((out) => out.error(TOO_MANY_WRITTEN_BYTES));
      } else {
        const parts = this.#write(command, args, client);
        for (const part of parts) writtenBytes += part.length;
        elements.push((out) => out.put(parts));
      }
    }
    return elements;
  }

  #write(command: Executable, args: readonly Buffer[], client: Client): readonly Buffer[] {
    const out = this.#written;
    out.protocol = client.protocol;
    try {
      void command.run(args, client, out);
      return out.take();
    } finally {
      // Nothing of it may be left for another client, should there be a bug.
      out.clear();
    }
  }
}
