import { Buffer } from 'node:buffer';
import type { Command, Redis } from 'ioredis';
import { type BatchObserver, ReadBatch } from '../connection/read-batch.ts';
import type { ReadCommands } from '../connection/read-commands.ts';
import { failureOf } from '../redis-failure.ts';

/** Closes a connection whose replies do not match its requests: later replies may belong to other requests. */
export function abortConnection(redis: Redis): void {
  const error = Object.assign(new Error('an unexpected reply'), { code: 'PROTOCOL' });
  redis.recoverFromFatalError(error, error, { offlineQueue: false });
  // A server that violates the protocol may never close its side.
  redis.stream.destroy();
}

/** The members of a command that ioredis uses when it sends one. */
type SentCommand = Pick<
  Command,
  'name' | 'args' | 'isTraced' | 'setReplyContext' | 'setTimeout' | 'toWritable' | 'resolve' | 'reject'
>;

const NO_BYTES = Buffer.alloc(0);

/**
 * Reads that ioredis sends as a single command with many replies. Its own commands have promises, closures and timers, which
 * cost several times as much as the read itself.
 */
export class DirectBatch extends ReadBatch implements SentCommand {
  readonly name = 'get';
  /** ioredis adds these to errors; only the error code of an error is used. */
  readonly args = [];
  /** Prevents tracing, which needs a promise. */
  isTraced = true;
  readonly commands: ReadCommands;
  #redis: Redis | undefined;
  #bytes: Buffer = NO_BYTES;
  #desynchronised = false;
  #isWritten = false;

  constructor(commands: ReadCommands, timeoutMs: number, observer: BatchObserver) {
    super(commands.ttlReads, timeoutMs, observer);
    this.commands = commands;
  }

  /** Whether its bytes were passed to the socket, so that it must not be sent again. */
  get isWritten(): boolean {
    return this.#isWritten;
  }

  /** @throws unknown if ioredis does not handle it as it did during the probe. */
  send(redis: Redis): void {
    this.#redis = redis;
    this.#bytes = this.commands.encode(this.reads);
    this.expectReplies();
    redis.sendCommand(this as unknown as Command);
  }

  setReplyContext(): void {
    // Replies are used without transformation.
  }

  setTimeout(): void {
    // The batch has its own timer.
  }

  toWritable(): Buffer {
    this.#isWritten = true;
    return this.#bytes;
  }

  /** Accepts a reply that ioredis decoded, after it removed the command from its queue. */
  resolve(reply: unknown): void {
    if (this.#desynchronised || !this.acceptDecoded(reply)) this.#awaitMore();
  }

  /** Accepts an error reply to one command, or fails all reads because the connection was closed. */
  reject(error: Error): void {
    // Only error replies have a `command`.
    if (!('command' in error)) this.failAll(failureOf(error));
    else if (this.#desynchronised || !this.acceptReply(error)) this.#awaitMore();
  }

  protected abortConnection(): void {
    this.#desynchronised = true;
    if (this.#redis !== undefined) abortConnection(this.#redis);
  }

  /**
   * Puts the command back at the front of the queue, from which ioredis removes one command per reply; also after the connection
   * was aborted: ioredis decodes the rest of the chunk and throws on null without a command.
   */
  #awaitMore(): void {
    const redis = this.#redis;
    if (redis === undefined) return;
    const item = { command: this as unknown as Command, stream: undefined, select: redis.condition?.select };
    redis.commandQueue.unshift(item as unknown as NonNullable<ReturnType<typeof redis.commandQueue.shift>>);
  }
}
