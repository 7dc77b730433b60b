import { Buffer } from 'node:buffer';
import type { Command, Redis } from 'ioredis';
import { breakOff } from './break-off.ts';
import { isAnswer } from './circuit-breaker.ts';
import type { ReadCommands } from './read-commands.ts';
import { failureOf } from './redis-failure.ts';
import { NoRoom, type RedisReply, TOO_LARGE, type TooLarge } from './redis-reply.ts';
import type { ValueMemory } from './value-memory.ts';

/** What a connection of ioredis uses of a command that it sends. */
type SentCommand = Pick<
  Command,
  'name' | 'args' | 'isTraced' | 'setReplyContext' | 'setTimeout' | 'toWritable' | 'resolve' | 'reject'
>;

/** A reply to GET or PTTL, as it is read off a connection. */
export type ReadReply = Buffer | TooLarge | NoRoom | number | Error | null;

/** A reply to GET. */
type Got = Buffer | TooLarge | NoRoom | Error | null;

const NOTHING = Buffer.alloc(0);

interface Read {
  readonly key: Buffer;
  readonly take: (reply: RedisReply) => void;
  readonly memory: ValueMemory | undefined;
}

/** What is left of a read once it is settled. */
const SETTLED: Read = { key: NOTHING, take: () => undefined, memory: undefined };

/**
 * The reads that go to the Redis in one write: GET of each key, and PTTL behind it if that is wanted. They have one time
 * limit, which runs from when the first was asked. To ioredis all of them are one command, which has more replies than
 * one: the commands that it makes have promises, closures and timers, which cost several times what the reading does.
 */
export class ReadBatch implements SentCommand {
  readonly name = 'get';
  /** ioredis adds them to errors, of which nobody sees more than the first word. */
  readonly args = [];
  /** Tracing wants a promise. */
  isTraced = true;
  readonly #commands: ReadCommands;
  readonly #reads: Read[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #judge: (reply: RedisReply) => void;
  /** Whether one of the replies was an answer. */
  #answered = false;
  #redis: Redis | undefined;
  #bytes: Buffer = NOTHING;
  /** Replies that are still to come. */
  #repliesLeft = 0;
  /** Reads that have been settled: the first ones. */
  #settled = 0;
  /** The first read of which a reply is still to come. */
  #current = 0;
  /** The reply to its GET, while that to its PTTL is still to come. */
  #got: Got | undefined;
  #broken = false;

  /**
   * @param judge is called with the first answer; and before it with the last reply, when all reads have ended without one:
   *   an answer may come after time was up.
   */
  constructor(commands: ReadCommands, timeoutMs: number, judge: (reply: RedisReply) => void) {
    this.#commands = commands;
    this.#judge = judge;
    this.#timer = setTimeout(() => this.end({ kind: 'timeout' }), timeoutMs);
  }

  /**
   * @param take is called once, with the reply.
   * @param memory for a value that does not arrive in one piece.
   */
  add(key: Buffer, take: (reply: RedisReply) => void, memory: ValueMemory): void {
    this.#reads.push({ key, take, memory });
  }

  /** Where the memory for the value comes from whose reply is next; undefined when nobody wants it any more. */
  get memory(): ValueMemory | undefined {
    return this.#got === undefined ? this.#reads.at(this.#current)?.memory : undefined;
  }

  send(redis: Redis): void {
    this.#redis = redis;
    this.#bytes = this.#commands.encode(this.#reads);
    this.#repliesLeft = this.#reads.length * this.#commands.perKey;
    redis.sendCommand(this as unknown as Command);
  }

  setReplyContext(): void {
    // Replies are taken as they are.
  }

  setTimeout(): void {
    // The batch has a timer of its own.
  }

  toWritable(): Buffer {
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

  /** Takes the next reply; answers whether it was the last one. */
  accept(reply: ReadReply): boolean {
    if (this.#got === undefined) {
      if (!isGot(reply)) return this.#break();
      if (this.#commands.perKey === 1) this.#settle(replyOf(reply, undefined));
      else this.#got = reply;
    } else {
      if (typeof reply !== 'number' && !(reply instanceof Error)) return this.#break();
      const got = this.#got;
      this.#got = undefined;
      this.#settle(replyOf(got, reply));
    }
    return --this.#repliesLeft === 0;
  }

  /** Ends what has not been answered; replies that come yet are of no use to anybody. */
  end(reply: RedisReply): void {
    while (this.#settled < this.#reads.length) this.#end(reply);
  }

  /** Once one reply is not to what was asked, none is, and a value would be taken for that of another key. */
  #break(): boolean {
    this.#broken = true;
    if (this.#redis !== undefined) breakOff(this.#redis);
    // ioredis may have taken it for done.
    this.end({ kind: 'unavailable', reason: 'PROTOCOL' });
    return false;
  }

  #settle(reply: RedisReply): void {
    // Unless time was up.
    if (this.#current++ === this.#settled) this.#end(reply);
    else if (isAnswer(reply)) this.#answer(reply);
  }

  #end(reply: RedisReply): void {
    const { take } = this.#reads[this.#settled];
    // Whoever asked may hold the value, and is not to be held for those whose replies are still to come.
    this.#reads[this.#settled++] = SETTLED;
    const last = this.#settled === this.#reads.length;
    if (last) clearTimeout(this.#timer);
    if (isAnswer(reply)) this.#answer(reply);
    else if (last && !this.#answered) this.#judge(reply);
    take(reply);
  }

  #answer(reply: RedisReply): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#judge(reply);
  }

  /** Puts the command in front of the queue again, out of which ioredis takes one with each reply. */
  #awaitMore(): void {
    const redis = this.#redis;
    if (redis === undefined || this.#broken) return;
    const item = { command: this as unknown as Command, stream: undefined, select: redis.condition?.select };
    redis.commandQueue.unshift(item as unknown as NonNullable<ReturnType<typeof redis.commandQueue.shift>>);
  }
}

function isGot(reply: ReadReply): reply is Got {
  if (reply === null || reply === TOO_LARGE) return true;
  return reply instanceof Buffer || reply instanceof NoRoom || reply instanceof Error;
}

/** @param pttl undefined when it was not asked. */
function replyOf(got: Got, pttl: number | Error | undefined): RedisReply {
  if (got instanceof Error) return failureOf(got);
  if (pttl instanceof Error) return failureOf(pttl);
  if (got === null) return { kind: 'missing' };
  if (got === TOO_LARGE || got instanceof NoRoom) return got;
  // -1: no expiry. -2: the key went between the two commands, so its value is already out of date.
  const ttlMs = pttl === undefined || pttl === -1 ? undefined : Math.max(0, pttl);
  return { kind: 'value', value: got as Buffer, ttlMs };
}
