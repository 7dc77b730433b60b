import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Redis, ReplyError } from 'ioredis';
import { Settings } from '../config/settings.ts';
import { redisOptions } from './redis-options.ts';
import type { RedisExpiry, RedisFailure, RedisReply } from './redis-reply.ts';

/** Whether there is a connection, and if not, the last error's code. */
export type RedisState = { readonly reachable: true } | { readonly reachable: false; readonly reason: string };

/** How often it is tried again to select a database that cannot be had. */
const SELECT_RETRY_MS = 500;

/** This thread's connection to the Redis. It connects in the background: the proxy starts, and serves hits, without it. */
@Injectable()
export class RedisService implements OnModuleInit, OnApplicationShutdown {
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #readTtl: boolean;
  readonly #database: number;
  /** Whether the connection reads the database that it is to read. */
  #inDatabase = false;
  #entered: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #state: RedisState | undefined;
  #watch: (state: RedisState) => void = () => undefined;

  constructor(settings: Settings) {
    this.#redis = new Redis(redisOptions(settings.redis));
    this.#timeoutMs = settings.redis.commandTimeoutMs;
    this.#connectTimeoutMs = settings.redis.connectTimeoutMs;
    this.#readTtl = settings.cache.honourRedisTtl;
    this.#database = settings.redis.database;
    this.#redis.on('ready', () => {
      this.#entered = this.#enterDatabase();
    });
    this.#redis.on('error', (error: Error) => this.#change({ reachable: false, reason: reasonOf(error) }));
    this.#redis.on('close', () => {
      this.#inDatabase = false;
      this.#change({ reachable: false, reason: 'connection' });
    });
  }

  /**
   * Waits for the first attempt, so that a thread that listens is connected; but not for a Redis that takes its time
   * (it may be loading its data), nor for the attempts that follow by themselves.
   */
  async onModuleInit(): Promise<void> {
    const attempt = this.#redis.connect().then(
      () => this.#entered,
      () => undefined,
    );
    await Promise.race([attempt, delay(this.#connectTimeoutMs, undefined, { ref: false })]);
  }

  onApplicationShutdown(): void {
    clearTimeout(this.#retry);
    this.#redis.disconnect();
  }

  /** Tells `watch` of each change of the connection's state from now on, and of the state it is in. */
  watch(watch: (state: RedisState) => void): void {
    this.#watch = watch;
    if (this.#state !== undefined) watch(this.#state);
  }

  /**
   * Reads a key and its time to live in one round trip. GET goes first: were a key written between the two commands, a
   * new key's shorter time would then bound the old value, never the other way round.
   */
  async fetch(key: Buffer): Promise<RedisReply> {
    if (!this.#inDatabase) return { kind: 'unavailable', reason: 'connection' };
    const read = Promise.all([this.#redis.getBuffer(key), this.#readTtl ? this.#redis.pttl(key) : undefined]).then(
      ([value, pttl]) => replyOf(value, pttl),
      failureOf,
    );
    return this.#inTime(read);
  }

  /** Asks for how long a key lives. */
  async expiry(key: Buffer): Promise<RedisExpiry> {
    if (!this.#inDatabase) return { kind: 'unavailable', reason: 'connection' };
    const outcome = await this.#inTime(this.#redis.pttl(key).then(expiryOf, failureOf));
    return outcome.kind === 'wrong-type' ? { kind: 'unavailable', reason: 'WRONGTYPE' } : outcome;
  }

  /** Whether the Redis answers. */
  async ping(): Promise<{ readonly kind: 'ok' } | RedisFailure> {
    if (!this.#inDatabase) return { kind: 'unavailable', reason: 'connection' };
    const answer = this.#redis.ping().then(() => ({ kind: 'ok' }) as const, failureOf);
    const outcome = await this.#inTime(answer);
    return outcome.kind === 'wrong-type' ? { kind: 'unavailable', reason: 'WRONGTYPE' } : outcome;
  }

  /** ioredis counts a command's time from when it is sent; a command that waits its turn must not wait longer either. */
  #inTime<Outcome>(outcome: Promise<Outcome>): Promise<Outcome | { kind: 'timeout' }> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => resolve({ kind: 'timeout' }), this.#timeoutMs);
      outcome.finally(() => clearTimeout(timer)).then(resolve, reject);
    });
  }

  /** ioredis goes on with database 0 when it cannot select another, and a value of that one must never be given. */
  async #enterDatabase(): Promise<void> {
    clearTimeout(this.#retry);
    try {
      if (this.#database !== 0) await this.#redis.select(this.#database);
      this.#inDatabase = true;
      this.#change({ reachable: true });
    } catch (error) {
      this.#change({ reachable: false, reason: reasonOf(error) });
      if (this.#redis.status !== 'ready') return;
      this.#retry = setTimeout(() => void this.#enterDatabase(), SELECT_RETRY_MS).unref();
    }
  }

  #change(state: RedisState): void {
    const before = this.#state;
    if (before?.reachable === state.reachable && reasonIn(before) === reasonIn(state)) return;
    // A connection that is closed after an error says no more than the error did.
    if (before?.reachable === false && reasonIn(state) === 'connection') return;
    this.#state = state;
    this.#watch(state);
  }
}

function reasonIn(state: RedisState): string | undefined {
  return state.reachable ? undefined : state.reason;
}

function replyOf(value: Buffer | null, pttl: number | undefined): RedisReply {
  if (value === null) return { kind: 'missing' };
  // -1: no expiry. -2: the key went between the two commands, so its value is already out of date.
  const ttlMs = pttl === undefined || pttl === -1 ? undefined : Math.max(0, pttl);
  return { kind: 'value', value, ttlMs };
}

function expiryOf(pttl: number): RedisExpiry {
  if (pttl === -2) return { kind: 'missing' };
  return pttl === -1 ? { kind: 'endless' } : { kind: 'expires', ms: pttl };
}

function failureOf(error: unknown): RedisFailure | { readonly kind: 'wrong-type' } {
  if (error instanceof ReplyError && (error as Error).message.startsWith('WRONGTYPE')) return { kind: 'wrong-type' };
  if (error instanceof Error && error.message === 'Command timed out') return { kind: 'timeout' };
  return { kind: 'unavailable', reason: reasonOf(error) };
}

/** A word that says what was wrong and holds nothing of the request. */
function reasonOf(error: unknown): string {
  if (error instanceof ReplyError) {
    const { message, command } = error as Error & { readonly command?: { readonly name: string } };
    const code = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
    return command?.name === 'select' ? `SELECT: ${code}` : code;
  }
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'connection';
}
