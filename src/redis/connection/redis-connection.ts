import { Buffer } from 'node:buffer';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import type { Settings } from '../../config/settings.ts';
import { CircuitAttempt } from './circuit-attempt.ts';
import { CircuitBreaker, REFUSED, type WatchCircuit } from './circuit-breaker.ts';
import { DirectBatch } from '../ioredis-internals/direct-batch.ts';
import { redisBatches } from '../ioredis-internals/redis-batches.ts';
import { ReplyReader } from '../ioredis-internals/reply-reader.ts';
import { PlainReads } from './plain-batch.ts';
import type { ReadBatch } from './read-batch.ts';
import { ReadCommands } from './read-commands.ts';
import { type RedisReader, type RedisState, isSameState } from '../redis-reader.ts';
import { failureOf, reasonOf } from '../redis-failure.ts';
import { backOffMs } from '../redis-options.ts';
import type { RedisCheck, RedisExpiry, RedisFailure, RedisReply, RedisType } from '../redis-reply.ts';
import type { ValueMemory } from './value-memory.ts';

/** How often it is tried again to select a database that cannot be had. */
const SELECT_RETRY_MS = 500;

/**
 * What is read to see whether the Redis answers, when nobody asks for anything. It need not be there, nor be allowed, nor be
 * of this node: any answer will do.
 */
const PROBE_KEY = Buffer.from('redis-http-cache-proxy:probe');

export const NO_CONNECTION: RedisFailure = { kind: 'unavailable', reason: 'connection' };
/** Nobody wants the value of the probe. */
const NO_MEMORY: ValueMemory = { allocate: () => undefined, pass: () => undefined };
const CIRCUIT_OPEN: RedisFailure = { kind: 'unavailable', reason: 'circuit' };

/** One connection: to the only Redis, to the master that sentinels name, or to a node of a cluster. */
export class RedisConnection implements RedisReader {
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #commands: ReadCommands;
  readonly #circuit = new CircuitBreaker(() => this.fetch(PROBE_KEY, () => undefined, NO_MEMORY));
  readonly #receivedBytes = (): number => this.#redis.stream.bytesRead;
  readonly #database: number;
  /** Whether the connection reads the database that it is to read. */
  #inDatabase = false;
  #connecting: Promise<void> | undefined;
  #revival: NodeJS.Timeout | undefined;
  #closed = false;
  #entered: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #state: RedisState | undefined;
  /** As a reply has last told. */
  #missingRight: string | undefined;
  /** What was asked in this turn of the event loop. */
  #asked: CircuitAttempt | undefined;
  /** The reads among that. */
  #batch: ReadBatch | undefined;
  /** Reads with public API; undefined: this connection reads with private parts of ioredis. */
  #plain: PlainReads | undefined;
  readonly #maxValueBytes: number;
  #watch: (state: RedisState) => void = () => undefined;

  constructor(options: RedisOptions, { redis, cache }: Pick<Settings, 'redis' | 'cache'>) {
    this.#redis = new Redis(options);
    this.#timeoutMs = redis.commandTimeoutMs;
    this.#connectTimeoutMs = redis.connectTimeoutMs;
    this.#commands = new ReadCommands(cache.respectKeyTtl);
    this.#database = redis.database;
    this.#maxValueBytes = redis.maxValueBytes;
    this.#redis.on('ready', () => {
      const isDirect = redisBatches.state.inUse && ReplyReader.attach(this.#redis, redis.maxValueBytes);
      this.#plain = isDirect ? undefined : new PlainReads(this.#redis, redis.maxValueBytes);
      this.#entered = this.#enterDatabase();
    });
    this.#redis.on('error', (error: Error) => {
      this.#change({ reachable: false, reason: reasonOf(error) });
      // With a reply that nobody has asked for ioredis goes on.
      if (this.#plain === undefined || this.#redis.status !== 'ready') return;
      this.#inDatabase = false;
      this.#plain.breakOff();
    });
    this.#redis.on('close', () => {
      this.#inDatabase = false;
      this.#circuit.close();
      this.#change({ reachable: false, reason: 'connection' });
    });
    this.#redis.on('end', () => this.#revive());
  }

  /**
   * Waits for the first attempt, so that a thread that listens is connected; but not for a Redis that takes its time
   * (it may be loading its data), nor for the attempts that follow by themselves.
   */
  connect(): Promise<void> {
    this.#connecting ??= this.#attempt();
    return this.#connecting;
  }

  async #attempt(): Promise<void> {
    const attempt = this.#redis.connect().then(
      () => this.#entered,
      () => undefined,
    );
    await Promise.race([attempt, delay(this.#connectTimeoutMs, undefined, { ref: false })]);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#revival);
    this.#redis.disconnect();
  }

  watch(watch: (state: RedisState) => void): void {
    this.#watch = watch;
    if (this.#state !== undefined) watch(this.#state);
  }

  watchCircuit(watch: WatchCircuit): void {
    this.#circuit.watch(watch);
  }

  fetch(key: Buffer, take: (reply: RedisReply) => void, memory: ValueMemory): void {
    if (!this.#inDatabase) return take(NO_CONNECTION);
    const asked = this.#enter();
    if (asked === undefined) return take(CIRCUIT_OPEN);
    this.#batch ??= this.#newBatch(this.#judged(asked.add()));
    this.#batch.add(key, take, memory);
  }

  /** Passes the judgement on a batch of reads on, and notes what it says of the account's rights. */
  #judged(end: (reply: RedisReply) => void): (reply: RedisReply) => void {
    return (reply) => {
      end(reply);
      this.#noteRights(reply);
    };
  }

  /** Notes which right a reply says is missing, or that none is. */
  #noteRights(reply: RedisReply): void {
    const missingRight = reply.kind === 'unavailable' ? reply.missingRight : undefined;
    const isPermitted = reply.kind === 'value' || reply.kind === 'missing' || isKeyRefused(reply);
    if (missingRight === this.#missingRight || (missingRight === undefined && !isPermitted)) return;
    this.#missingRight = missingRight;
    if (this.#state?.reachable) this.#change({ reachable: true, missingRight });
  }

  expiry(key: Buffer): Promise<RedisExpiry> {
    return this.#query(() => this.#redis.pttl(key).then(expiryOf, failureOf));
  }

  type(key: Buffer): Promise<RedisType> {
    return this.#query(() => this.#redis.type(key).then(typeOf, failureOf));
  }

  /** Sends a command that has a reply of its own, which counts for the circuit breaker. */
  async #query<Reply extends { readonly kind: string }>(
    send: () => Promise<Reply | ReturnType<typeof failureOf>>,
  ): Promise<Reply | RedisFailure> {
    if (!this.#inDatabase) return NO_CONNECTION;
    const asked = this.#enter();
    if (asked === undefined) return CIRCUIT_OPEN;
    const end = asked.add();
    const outcome = await send();
    // To the circuit any answer is one.
    end(isFailure(outcome) ? outcome : { kind: 'missing' });
    return isWrongType(outcome) ? { kind: 'unavailable', reason: 'WRONGTYPE' } : outcome;
  }

  /**
   * As {@link fetch}, of a node of a cluster that a slot is on its way to. What it says is not to be held, nor that there is
   * nothing: this node may be one that serves no slot as yet, and whose writes nobody follows.
   */
  async fetchMoving(key: Buffer): Promise<RedisReply> {
    if (!this.#inDatabase) return NO_CONNECTION;
    this.#ask();
    const value = await this.#redis.getBuffer(key).catch(failureOf);
    if (value === null) return { kind: 'missing', ttlMs: 0 };
    return Buffer.isBuffer(value) ? { kind: 'value', value, ttlMs: 0 } : value;
  }

  /** Announces that the next command is about a slot that is on its way to this node of a cluster. */
  asking(): this {
    if (this.#inDatabase) this.#ask();
    return this;
  }

  check(): Promise<RedisCheck> {
    const state = this.#state;
    if (state?.reachable === false) return Promise.resolve({ kind: 'unavailable', reason: state.reason });
    return new Promise((resolve) => this.fetch(PROBE_KEY, (reply) => resolve(checkOf(reply)), NO_MEMORY));
  }

  /** Lets the next command be about a slot that is on its way to this node. */
  #ask(): void {
    // If it fails, so does the command.
    this.#redis.asking().catch(() => undefined);
  }

  /** What is asked in this turn of the event loop, to add to; undefined when Redis is spared. */
  #enter(): CircuitAttempt | undefined {
    if (this.#asked !== undefined) return this.#asked;
    const turn = this.#circuit.enter();
    if (turn === REFUSED) return undefined;
    this.#asked = new CircuitAttempt(this.#circuit, turn, this.#receivedBytes);
    // Not a microtask: what the other clients have sent until now is to come along.
    setImmediate(() => this.#send());
    return this.#asked;
  }

  #send(): void {
    const batch = this.#batch;
    this.#asked = undefined;
    this.#batch = undefined;
    if (batch === undefined) return;
    if (!this.#inDatabase) return batch.end(NO_CONNECTION);
    try {
      batch.send(this.#redis);
    } catch (error) {
      this.#sendPlainly(batch, error);
    }
  }

  /** Goes on with public API, as ioredis does not take a batch as it did when it was probed. */
  #sendPlainly(batch: ReadBatch, error: unknown): void {
    redisBatches.disable(error);
    this.#plain ??= new PlainReads(this.#redis, this.#maxValueBytes);
    if (batch instanceof DirectBatch && !batch.isWritten) {
      batch.moveTo((judge) => this.#newBatch(judge)).send(this.#redis);
    } else {
      this.#plain.breakOff();
      batch.end({ kind: 'unavailable', reason: 'PROTOCOL' });
    }
  }

  #newBatch(judge: (reply: RedisReply) => void): ReadBatch {
    if (this.#plain === undefined) return new DirectBatch(this.#commands, this.#timeoutMs, judge);
    return this.#plain.batch(this.#commands.perKey, this.#timeoutMs, judge);
  }

  /** ioredis goes on with database 0 when it cannot select another, and a value of that one must never be given. */
  async #enterDatabase(): Promise<void> {
    clearTimeout(this.#retry);
    try {
      if (this.#database !== 0) await this.#redis.select(this.#database);
      this.#inDatabase = true;
      this.#change({ reachable: true, missingRight: this.#missingRight });
    } catch (error) {
      this.#change({ reachable: false, reason: reasonOf(error) });
      if (this.#redis.status !== 'ready') return;
      this.#retry = setTimeout(() => void this.#enterDatabase(), SELECT_RETRY_MS).unref();
    }
  }

  /** ioredis gives up when sentinels tell of a failover while it is asking them for the master. */
  #revive(): void {
    if (this.#closed) return;
    this.#revival = setTimeout(() => void this.#redis.connect().catch(() => undefined), backOffMs(1));
  }

  #change(state: RedisState): void {
    const before = this.#state;
    if (isSameState(before, state)) return;
    // A connection that is closed after an error says no more than the error did.
    if (before?.reachable === false && !state.reachable && state.reason === 'connection') return;
    this.#state = state;
    this.#watch(state);
  }
}

/** What a reply for one key says of reads of any: that this key is refused, or another node's, concerns it alone. */
function checkOf(reply: RedisReply): RedisCheck {
  if (reply.kind === 'timeout') return reply;
  if (reply.kind !== 'unavailable') return { kind: 'ok' };
  return reply.redirect !== undefined || isKeyRefused(reply) ? { kind: 'ok' } : reply;
}

/** Whether the account may run the commands, but not on this key. */
function isKeyRefused(reply: RedisReply): boolean {
  return reply.kind === 'unavailable' && reply.reason === 'NOPERM' && reply.missingRight === undefined;
}

function isFailure(outcome: { readonly kind: string }): outcome is RedisFailure {
  return outcome.kind === 'timeout' || outcome.kind === 'unavailable';
}

function isWrongType(outcome: { readonly kind: string }): outcome is { readonly kind: 'wrong-type' } {
  return outcome.kind === 'wrong-type';
}

function typeOf(type: string): RedisType {
  return type === 'none' ? { kind: 'missing' } : { kind: 'type', type };
}

function expiryOf(pttl: number): RedisExpiry {
  if (pttl === -2) return { kind: 'missing' };
  return pttl === -1 ? { kind: 'endless' } : { kind: 'expires', ms: pttl };
}
