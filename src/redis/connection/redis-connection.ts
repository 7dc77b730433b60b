import { Buffer } from 'node:buffer';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import type { RedisNode } from '../../config/redis/redis-nodes.ts';
import type { Settings } from '../../config/settings.ts';
import { CircuitAttempt } from './circuit-attempt.ts';
import { CircuitBreaker, REFUSED, type WatchCircuit } from './circuit-breaker.ts';
import { DirectBatch } from '../ioredis-internals/direct-batch.ts';
import { redisBatches } from '../ioredis-internals/redis-batches.ts';
import { ReplyReader } from '../ioredis-internals/reply-reader.ts';
import { PlainReads } from './plain-batch.ts';
import { type BatchObserver, type ReadBatch, withPttl } from './read-batch.ts';
import { ReadCommands } from './read-commands.ts';
import { FailoverWatch, leadsTo } from '../failover-watch.ts';
import { Query } from '../query.ts';
import { type RedisReader, type RedisState, isSameState } from '../redis-reader.ts';
import { failureOf, errorCode } from '../redis-failure.ts';
import { backOffMs } from '../redis-options.ts';
import { RedisLogins, isLoginRefusal } from '../redis-logins.ts';
import { untilDeadline } from '../until-deadline.ts';
import { ConnectionLogin } from './connection-login.ts';
import { HeldReads } from './held-reads.ts';
import {
  type RedisCheck,
  type RedisTtl,
  type RedisFailure,
  type RedisReply,
  type RedisType,
  isFailure,
} from '../redis-reply.ts';
import { NO_MEMORY, type ValueMemory } from './value-memory.ts';

/** Milliseconds between attempts to select the database. */
const SELECT_RETRY_MS = 500;

/**
 * The synthetic read that probes an idle Redis. Its key need not exist, be permitted, or belong to this node: any reply
 * shows that Redis is responsive.
 */
const PROBE = Query.get(Buffer.from('redis-http-cache-proxy:probe'));

export const NO_CONNECTION = { kind: 'unavailable', reason: 'connection' } as const satisfies RedisFailure;
/** Commands of reads after an ASK redirect, each of which follows a command of its own. */
const WITHOUT_TTL = new ReadCommands('none');
/** The circuit counts what is sent in one tick, and an ASK redirect was a reply. */
const UNOBSERVED: BatchObserver = {
  onCircuitOutcome: () => undefined,
  onGetReply: () => undefined,
  onRefusedQuery: () => undefined,
};
const CIRCUIT_OPEN: RedisFailure = { kind: 'unavailable', reason: 'circuit' };

/** One connection: to a single Redis, to the master reported by sentinels, or to a node of a cluster. */
export class RedisConnection implements RedisReader {
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #commands: ReadCommands;
  readonly #circuit = new CircuitBreaker(() => this.fetch(PROBE, () => undefined, NO_MEMORY));
  readonly #receivedBytes = (): number => this.#redis.stream.bytesRead;
  readonly #database: number;
  readonly #isReadOnly: boolean;
  /** Whether the configured database is selected on the connection. */
  #databaseSelected = false;
  #connecting: Promise<void> | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #selecting: Promise<void> | undefined;
  #selectTimer: NodeJS.Timeout | undefined;
  #state: RedisState | undefined;
  /** According to the last reply. */
  #missingPermission: string | undefined;
  /** Permissions that queries other than GET lacked. */
  readonly #refused = new Set<string>();
  #watchRefused: (permission: string) => void = () => undefined;
  /** The commands queued in this tick. */
  #attempt: CircuitAttempt | undefined;
  /** The reads among them. */
  #batch: ReadBatch | undefined;
  /** Reads through the public API; undefined while this connection uses private parts of ioredis. */
  #plain: PlainReads | undefined;
  readonly #maxValueBytes: number;
  #watch: (state: RedisState) => void = () => undefined;
  readonly #login: ConnectionLogin;
  /** Whether the connection was ready since it was lost last. */
  #wasReady = false;
  /** Whether the credentials were refused in the present attempt to connect. */
  #isRefused = false;
  /** Used only if the credentials may change. */
  readonly #held = new HeldReads();
  /** Undefined unless sentinels name the master. */
  readonly #failovers: FailoverWatch | undefined;

  /**
   * @param options without credentials, which are those of `logins`.
   * @param isReadOnly whether to send READONLY, without which a replica in a cluster redirects all reads.
   */
  constructor(
    options: RedisOptions,
    { redis, cache }: Pick<Settings, 'redis' | 'cache'>,
    logins = new RedisLogins(redis),
    isReadOnly = false,
  ) {
    this.#redis = new Redis(options);
    this.#login = new ConnectionLogin(this.#redis, logins);
    this.#timeoutMs = redis.commandTimeoutMs;
    this.#connectTimeoutMs = redis.connectTimeoutMs;
    this.#commands = new ReadCommands(cache.respectKeyTtl ? 'all' : 'other-than-get');
    this.#database = redis.database;
    this.#isReadOnly = isReadOnly;
    this.#maxValueBytes = redis.maxValueBytes;
    this.#redis.on('ready', () => {
      const isDirect = redisBatches.state.inUse && ReplyReader.attach(this.#redis, redis.maxValueBytes);
      this.#plain = isDirect ? undefined : new PlainReads(this.#redis, redis.maxValueBytes);
      this.#selecting = this.#selectDatabase();
    });
    this.#redis.on('error', (error: Error) => {
      const reason = errorCode(error);
      this.#change({ reachable: false, reason });
      if (!this.#wasReady) this.#noteFailedAttempt(reason);
      // ioredis continues after an unsolicited reply.
      if (this.#plain === undefined || this.#redis.status !== 'ready') return;
      this.#databaseSelected = false;
      this.#plain.abortConnection();
    });
    this.#redis.on('close', () => {
      this.#databaseSelected = false;
      this.#circuit.close();
      this.#change({ reachable: false, reason: 'connection' });
      this.#noteClose();
    });
    this.#redis.on('end', () => this.#reconnect());
    if (options.sentinels !== undefined) {
      this.#failovers = new FailoverWatch(redis, logins, (master) => void this.#leaveFormerMaster(master));
    }
  }

  /**
   * Waits for the first connection attempt, so that a thread that starts listening is connected; but not for a slow Redis (it
   * may be loading its data), nor for automatic reconnections.
   */
  connect(): Promise<void> {
    this.#connecting ??= this.#connectOnce();
    return this.#connecting;
  }

  async #connectOnce(): Promise<void> {
    this.#failovers?.start();
    const attempt = this.#redis.connect().then(
      () => this.#selecting,
      () => undefined,
    );
    await Promise.race([attempt, delay(this.#connectTimeoutMs, undefined, { ref: false })]);
  }

  close(): void {
    this.#closed = true;
    this.#failovers?.close();
    this.#login.close();
    this.#held.release(false);
    clearTimeout(this.#selectTimer);
    clearTimeout(this.#reconnectTimer);
    this.#redis.disconnect();
  }

  watch(watch: (state: RedisState) => void): void {
    this.#watch = watch;
    if (this.#state !== undefined) watch(this.#state);
  }

  watchCircuit(watch: WatchCircuit): void {
    this.#circuit.watch(watch);
  }

  watchRefused(watch: (permission: string) => void): void {
    this.#watchRefused = watch;
    for (const permission of this.#refused) watch(permission);
  }

  readonly sources = undefined;

  /** Does nothing: this connection has one server. */
  useSources(): void {}

  /** Never calls back: only a cluster replaces connections. */
  watchReplaced(): void {}

  /** Never calls back: readers that select among servers know their roles. */
  watchServed(): void {}

  fetch(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void {
    if (!this.#login.mayChange) return this.#fetch(query, onReply, memory);
    const deadline = performance.now() + this.#timeoutMs;
    const retry = (failure: RedisReply): void =>
      this.#held.hold(deadline, (ready) => {
        if (ready) this.#fetch(query, untilDeadline<RedisReply>(deadline, onReply), memory);
        else onReply(failure);
      });
    if (!this.#databaseSelected && this.#held.isHolding) return retry(NO_CONNECTION);
    const retryOrReply = (reply: RedisReply): void => {
      if (this.#mayRetry(reply)) retry(reply);
      else onReply(reply);
    };
    this.#fetch(query, retryOrReply, memory);
  }

  #fetch(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void {
    if (!this.#databaseSelected) return onReply(NO_CONNECTION);
    const attempt = this.#joinAttempt();
    if (attempt === undefined) return onReply(CIRCUIT_OPEN);
    this.#batch ??= this.#newBatch(this.#observe(attempt.add()));
    this.#batch.add(query, onReply, memory);
  }

  /** Forwards the outcome of a batch, and updates the missing permission from that of GET. */
  #observe(end: (reply: RedisReply) => void): BatchObserver {
    return {
      onCircuitOutcome: end,
      onGetReply: (reply) => this.#updateMissingPermission(reply),
      onRefusedQuery: (permission) => this.#noteRefused(permission),
    };
  }

  #noteRefused(permission: string): void {
    if (this.#refused.has(permission)) return;
    this.#refused.add(permission);
    this.#watchRefused(permission);
  }

  /** Updates which permission is missing, if the reply shows it. */
  #updateMissingPermission(reply: RedisReply): void {
    const missingPermission = reply.kind === 'unavailable' ? reply.missingPermission : undefined;
    const isPermitted = reply.kind === 'value' || reply.kind === 'missing' || isKeyRefused(reply);
    if (missingPermission === this.#missingPermission || (missingPermission === undefined && !isPermitted)) return;
    this.#missingPermission = missingPermission;
    if (this.#state?.reachable) this.#change({ reachable: true, missingPermission });
  }

  ttl(key: Buffer): Promise<RedisTtl> {
    return this.#query(() => this.#redis.pttl(key).then(ttlOf, failureOf));
  }

  type(key: Buffer): Promise<RedisType> {
    return this.#query(() => this.#redis.type(key).then(typeOf, failureOf));
  }

  /** Sends a single command, and once more if the credentials have changed meanwhile. */
  async #query<Reply extends { readonly kind: string }>(
    send: () => Promise<Reply | ReturnType<typeof failureOf>>,
  ): Promise<Reply | RedisFailure> {
    const deadline = performance.now() + this.#timeoutMs;
    const isHeld = !this.#databaseSelected && this.#held.isHolding;
    const reply = isHeld ? NO_CONNECTION : await this.#queryOnce(send);
    if (!isHeld && !(isFailure(reply) && this.#mayRetry(reply))) return reply;
    const isReady = await new Promise<boolean>((resolve) => this.#held.hold(deadline, resolve));
    if (!isReady) return reply;
    return new Promise((resolve) => {
      void this.#queryOnce(send).then(untilDeadline<Reply | RedisFailure>(deadline, resolve));
    });
  }

  /** Sends a single command, whose reply counts for the circuit breaker. */
  async #queryOnce<Reply extends { readonly kind: string }>(
    send: () => Promise<Reply | ReturnType<typeof failureOf>>,
  ): Promise<Reply | RedisFailure> {
    if (!this.#databaseSelected) return NO_CONNECTION;
    const attempt = this.#joinAttempt();
    if (attempt === undefined) return CIRCUIT_OPEN;
    const end = attempt.add();
    const outcome = await send();
    // Every reply other than a failure counts as a success.
    end(isFailure(outcome) ? outcome : { kind: 'missing' });
    return isWrongType(outcome) ? { kind: 'unavailable', reason: 'WRONGTYPE' } : outcome;
  }

  /**
   * Reads the result of a query about a key of a slot that is being imported by this cluster node (ASK redirect). The reply has
   * a TTL of 0, because this node may not serve any slot yet, so that its writes are not tracked.
   */
  async fetchAsking(query: Query, memory: ValueMemory): Promise<RedisReply> {
    if (!this.#databaseSelected) return NO_CONNECTION;
    // Before the query, whose reply is in memory until the end of the tick in which it arrives.
    const pttl = query.isGet ? undefined : this.asking().#redis.pttl(query.key).catch(asError);
    const reply = new Promise<RedisReply>((onReply) => {
      const batch = this.#newBatch(UNOBSERVED, WITHOUT_TTL);
      batch.add(query, onReply, memory);
      this.#sendAsking();
      this.#sendBatch(batch);
    });
    const [received, ttl] = await Promise.all([reply, pttl]);
    const outcome = ttl === undefined ? received : withPttl(received, ttl, false);
    return outcome.kind === 'value' || outcome.kind === 'missing' ? { ...outcome, ttlMs: 0 } : outcome;
  }

  /** Sends ASKING, so that the next command may concern a slot that this node is importing. */
  asking(): this {
    if (this.#databaseSelected) this.#sendAsking();
    return this;
  }

  check(): Promise<RedisCheck> {
    const state = this.#state;
    if (state?.reachable === false) return Promise.resolve({ kind: 'unavailable', reason: state.reason });
    return new Promise((resolve) => this.fetch(PROBE, (reply) => resolve(checkOf(reply)), NO_MEMORY));
  }

  /** Sends ASKING without waiting for the reply. */
  #sendAsking(): void {
    // If it fails, so does the command.
    this.#redis.asking().catch(() => undefined);
  }

  /** Returns the attempt of this tick, to add commands to; undefined if the circuit is open. */
  #joinAttempt(): CircuitAttempt | undefined {
    if (this.#attempt !== undefined) return this.#attempt;
    const generation = this.#circuit.tryAcquire();
    if (generation === REFUSED) return undefined;
    this.#attempt = new CircuitAttempt(this.#circuit, generation, this.#receivedBytes);
    // Not a microtask, so that requests of other clients that have arrived are sent together.
    setImmediate(() => this.#send());
    return this.#attempt;
  }

  #send(): void {
    const batch = this.#batch;
    this.#attempt = undefined;
    this.#batch = undefined;
    if (batch === undefined) return;
    if (!this.#databaseSelected) return batch.failAll(NO_CONNECTION);
    this.#sendBatch(batch);
  }

  #sendBatch(batch: ReadBatch): void {
    try {
      batch.send(this.#redis);
    } catch (error) {
      this.#sendPlain(batch, error);
    }
  }

  /** Switches to the public API, because ioredis does not handle a batch as it did during the probe. */
  #sendPlain(batch: ReadBatch, error: unknown): void {
    redisBatches.disable(error);
    this.#plain ??= new PlainReads(this.#redis, this.#maxValueBytes);
    if (batch instanceof DirectBatch && !batch.isWritten) {
      batch.moveTo((observer) => this.#newBatch(observer, batch.commands)).send(this.#redis);
    } else {
      this.#plain.abortConnection();
      batch.failAll({ kind: 'unavailable', reason: 'PROTOCOL' });
    }
  }

  #newBatch(observer: BatchObserver, commands = this.#commands): ReadBatch {
    if (this.#plain === undefined) return new DirectBatch(commands, this.#timeoutMs, observer);
    return this.#plain.batch(commands.ttlReads, this.#timeoutMs, observer);
  }

  /** Selects the database again: if ioredis fails to, it continues with database 0, whose values must never be served. */
  async #selectDatabase(): Promise<void> {
    clearTimeout(this.#selectTimer);
    try {
      if (this.#database !== 0) await this.#redis.select(this.#database);
      if (this.#isReadOnly) await this.#redis.readonly();
      this.#databaseSelected = true;
      this.#wasReady = true;
      this.#isRefused = false;
      this.#change({ reachable: true, missingPermission: this.#missingPermission });
      this.#held.release(true);
      this.#login.noteReady();
    } catch (error) {
      this.#change({ reachable: false, reason: errorCode(error) });
      if (this.#redis.status !== 'ready') return;
      this.#selectTimer = setTimeout(() => void this.#selectDatabase(), SELECT_RETRY_MS).unref();
    }
  }

  /** Reconnects after ioredis has stopped to, as it does if sentinels report a failover while it is resolving the master. */
  #reconnect(): void {
    if (this.#closed) return;
    this.#reconnectTimer = setTimeout(() => void this.#redis.connect().catch(() => undefined), backOffMs(1));
  }

  /** Closes the connection, in any state, unless it leads to the new master already. */
  async #leaveFormerMaster(master: RedisNode): Promise<void> {
    const { stream } = this.#redis;
    const isThere = stream !== undefined && (await leadsTo(stream, master));
    if (this.#redis.stream !== stream) return this.#leaveFormerMaster(master);
    if (!isThere && !this.#closed) this.#redis.disconnect(true);
  }

  /** Whether a read with this reply is sent again once the connection is ready; re-establishes one that is not authenticated. */
  #mayRetry(reply: RedisReply): boolean {
    if (reply.kind !== 'unavailable' || !this.#login.mayChange || this.#closed) return false;
    if (isLoginRefusal(reply.reason)) return this.#authenticateAgain(reply.reason);
    if (reply.reason !== NO_CONNECTION.reason) return false;
    if (this.#databaseSelected) this.#held.begin(this.#timeoutMs);
    return this.#held.isHolding;
  }

  /** Re-establishes the connection, because Redis requires authentication on it; returns whether reads wait for that. */
  #authenticateAgain(reason: string): boolean {
    if (this.#held.isHolding) return true;
    if (!this.#login.mustReconnect(reason)) return false;
    this.#held.begin(this.#timeoutMs);
    this.#databaseSelected = false;
    this.#redis.disconnect(true);
    return true;
  }

  #noteFailedAttempt(reason: string): void {
    this.#isRefused = this.#login.noteFailedAttempt(reason);
    if (!this.#isRefused) this.#held.release(false);
  }

  #noteClose(): void {
    if (this.#wasReady && this.#login.mayChange && !this.#closed) this.#held.begin(this.#timeoutMs);
    else if (!this.#isRefused) this.#held.release(false);
    this.#wasReady = false;
    this.#isRefused = false;
    this.#login.noteClose();
  }

  #change(state: RedisState): void {
    const before = this.#state;
    if (isSameState(before, state)) return;
    // The close after an error adds no information.
    if (before?.reachable === false && !state.reachable && state.reason === 'connection') return;
    this.#state = state;
    this.#watch(state);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Classifies a reply for one key as a check of all keys: a refused or redirected key does not concern the others. */
function checkOf(reply: RedisReply): RedisCheck {
  if (reply.kind === 'timeout') return reply;
  if (reply.kind !== 'unavailable') return { kind: 'ok' };
  return reply.redirect !== undefined || isKeyRefused(reply) ? { kind: 'ok' } : reply;
}

/** Whether the account may run the commands but not access this key. */
function isKeyRefused(reply: RedisReply): boolean {
  return reply.kind === 'unavailable' && reply.reason === 'NOPERM' && reply.missingPermission === undefined;
}

function isWrongType(outcome: { readonly kind: string }): outcome is { readonly kind: 'wrong-type' } {
  return outcome.kind === 'wrong-type';
}

function typeOf(type: string): RedisType {
  return type === 'none' ? { kind: 'missing' } : { kind: 'type', type };
}

function ttlOf(pttl: number): RedisTtl {
  if (pttl === -2) return { kind: 'missing' };
  return pttl === -1 ? { kind: 'persistent' } : { kind: 'expires', ms: pttl };
}
