import { Buffer } from 'node:buffer';
import type { Redis } from 'ioredis';
import { isAnswer } from './circuit-breaker.ts';
import { failureOf, missingRightIn } from '../redis-failure.ts';
import { NoRoom, type RedisReply, TOO_LARGE, type TooLarge } from '../redis-reply.ts';
import type { ValueMemory } from './value-memory.ts';

/** A reply to GET or PTTL, as it is read off a connection. */
export type ReadReply = Buffer | TooLarge | NoRoom | number | Error | null;

/** A reply to GET. */
type Got = Buffer | TooLarge | NoRoom | Error | null;

const NOTHING = Buffer.alloc(0);

export interface Read {
  readonly key: Buffer;
  readonly take: (reply: RedisReply) => void;
  readonly memory: ValueMemory | undefined;
}

/** What is left of a read once it is settled. */
const SETTLED: Read = { key: NOTHING, take: () => undefined, memory: undefined };

/**
 * The reads that go to the Redis together: GET of each key, and PTTL behind it if that is wanted. They have one time limit,
 * which runs from when the first was asked.
 */
export abstract class ReadBatch {
  readonly #repliesPerKey: number;
  readonly #reads: Read[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #judge: (reply: RedisReply) => void;
  /** Whether one of the replies was an answer. */
  #answered = false;
  /** Replies that are still to come. */
  #repliesLeft = 0;
  /** Reads that have been settled: the first ones. */
  #settled = 0;
  /** The first read of which a reply is still to come. */
  #current = 0;
  /** The reply to its GET, while that to its PTTL is still to come. */
  #got: Got | undefined;

  /**
   * @param judge is called with the first answer; and before it with the last reply, when all reads have ended without one:
   *   an answer may come after time was up.
   */
  constructor(repliesPerKey: number, timeoutMs: number, judge: (reply: RedisReply) => void) {
    this.#repliesPerKey = repliesPerKey;
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

  /** Sends the reads, once. */
  abstract send(redis: Redis): void;

  /** Ends the connection, as its replies are not those to what was asked. */
  protected abstract breakOff(): void;

  /** To be called before the first reply is accepted. */
  protected expectReplies(): void {
    this.#repliesLeft = this.#reads.length * this.#repliesPerKey;
  }

  /** The reads, as long as none of them is settled. */
  protected get reads(): readonly Read[] {
    return this.#reads;
  }

  /** Takes the next reply; answers whether it was the last one. */
  accept(reply: ReadReply): boolean {
    if (this.#got === undefined) {
      if (!isGot(reply)) return this.#break();
      if (this.#repliesPerKey === 1) this.#settle(replyOf(reply, undefined));
      else this.#got = reply;
    } else {
      if (typeof reply !== 'number' && !(reply instanceof Error)) return this.#break();
      const got = this.#got;
      this.#got = undefined;
      this.#settle(replyOf(got, reply));
    }
    return --this.#repliesLeft === 0;
  }

  /** Moves the reads, none of which has been sent, to the batch that is made with their judge. */
  moveTo(make: (judge: (reply: RedisReply) => void) => ReadBatch): ReadBatch {
    clearTimeout(this.#timer);
    const batch = make(this.#judge);
    for (const { key, take, memory } of this.#reads.splice(0)) {
      if (memory !== undefined) batch.add(key, take, memory);
    }
    return batch;
  }

  /** Ends what has not been answered; replies that come yet are of no use to anybody. */
  end(reply: RedisReply): void {
    while (this.#settled < this.#reads.length) this.#end(reply);
  }

  /** Once one reply is not to what was asked, none is, and a value would be taken for that of another key. */
  #break(): boolean {
    this.breakOff();
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
}

function isGot(reply: ReadReply): reply is Got {
  if (reply === null || reply === TOO_LARGE) return true;
  return reply instanceof Buffer || reply instanceof NoRoom || reply instanceof Error;
}

/** @param pttl undefined when it was not asked. */
function replyOf(got: Got, pttl: number | Error | undefined): RedisReply {
  if (got instanceof Error) {
    const failure = failureOf(got);
    // That a command is refused concerns every key, and that a key is refused only this one.
    const isKeyRefused = failure.kind === 'unavailable' && failure.reason === 'NOPERM';
    return isKeyRefused && missingRightIn(pttl) !== undefined ? failureOf(pttl) : failure;
  }
  if (pttl instanceof Error) return failureOf(pttl);
  if (got === null) return { kind: 'missing' };
  if (got === TOO_LARGE || got instanceof NoRoom) return got;
  // -1: no expiry. -2: the key went between the two commands, so its value is already out of date.
  const ttlMs = pttl === undefined || pttl === -1 ? undefined : Math.max(0, pttl);
  return { kind: 'value', value: got as Buffer, ttlMs };
}
