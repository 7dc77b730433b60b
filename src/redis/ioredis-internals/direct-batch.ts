import { Buffer } from 'node:buffer';
import type { Command, Redis } from 'ioredis';
import { ReadBatch, type ReadReply } from '../connection/read-batch.ts';
import type { ReadCommands } from '../connection/read-commands.ts';
import { failureOf } from '../redis-failure.ts';
import type { RedisReply } from '../redis-reply.ts';
import { breakOff } from './break-off.ts';

/** What a connection of ioredis uses of a command that it sends. */
type SentCommand = Pick<
  Command,
  'name' | 'args' | 'isTraced' | 'setReplyContext' | 'setTimeout' | 'toWritable' | 'resolve' | 'reject'
>;

const NOTHING = Buffer.alloc(0);

/**
 * Reads that ioredis takes for one command, which has more replies than one: the commands that it makes have promises,
 * closures and timers, which cost several times what the reading does.
 */
export class DirectBatch extends ReadBatch implements SentCommand {
  readonly name = 'get';
  /** ioredis adds them to errors, of which nobody sees more than the first word. */
  readonly args = [];
  /** Tracing wants a promise. */
  isTraced = true;
  readonly #commands: ReadCommands;
  #redis: Redis | undefined;
  #bytes: Buffer = NOTHING;
  #broken = false;
  #isWritten = false;

  constructor(commands: ReadCommands, timeoutMs: number, judge: (reply: RedisReply) => void) {
    super(commands.perKey, timeoutMs, judge);
    this.#commands = commands;
  }

  /** Whether its bytes have been handed over: then it must not be sent again. */
  get isWritten(): boolean {
    return this.#isWritten;
  }

  /** @throws unknown if ioredis does not take it as it did when it was probed. */
  send(redis: Redis): void {
    this.#redis = redis;
    this.#bytes = this.#commands.encode(this.reads);
    this.expectReplies();
    redis.sendCommand(this as unknown as Command);
  }

  setReplyContext(): void {
    // Replies are taken as they are.
  }

  setTimeout(): void {
    // The batch has a timer of its own.
  }

  toWritable(): Buffer {
    this.#isWritten = true;
    return this.#bytes;
  }

  /** A reply as ioredis has decoded it, after it took the command for done. */
  resolve(reply: unknown): void {
    if (!this.accept(reply as ReadReply)) this.#awaitMore();
  }

  /** An error that is the reply to one command; or the end of the connection, and so of all. */
  reject(error: Error): void {
    // What ioredis has decoded names its command.
    if (!('command' in error)) this.end(failureOf(error));
    else if (!this.accept(error)) this.#awaitMore();
  }

  protected breakOff(): void {
    this.#broken = true;
    if (this.#redis !== undefined) breakOff(this.#redis);
  }

  /** Puts the command in front of the queue again, out of which ioredis takes one with each reply. */
  #awaitMore(): void {
    const redis = this.#redis;
    if (redis === undefined || this.#broken) return;
    const item = { command: this as unknown as Command, stream: undefined, select: redis.condition?.select };
    redis.commandQueue.unshift(item as unknown as NonNullable<ReturnType<typeof redis.commandQueue.shift>>);
  }
}
