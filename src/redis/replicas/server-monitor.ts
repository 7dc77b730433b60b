import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import type { RedisLogin } from '../../config/settings.ts';
import { errorCode, failureOf, missingPermissionIn } from '../redis-failure.ts';
import {
  LoginChoice,
  type RedisLogins,
  isLoginRefusal,
  isSameAccount,
  loginOptions,
  sendAuth,
} from '../redis-logins.ts';
import { isServerFailure } from './read-sources.ts';
import { type Replication, parseReplication } from './replication-state.ts';

/** The key that is read; it need not exist, be permitted, or belong to this node. */
const PROBE = 'redis-http-cache-proxy:probe';

/** Result of {@link ServerMonitor.check}. */
export type MonitorReply =
  | { readonly kind: 'failed'; readonly reason: string }
  | {
      readonly kind: 'ok';
      readonly replication: Replication;
      /** Times at which the query was sent and its reply received, by `performance.now()`. */
      readonly sentAt: number;
      readonly receivedAt: number;
    };

/** Checks over a connection of its own whether a server replies to reads, and queries its replication. */
export class ServerMonitor {
  readonly #options: RedisOptions;
  readonly #loginChoice: LoginChoice;
  readonly #logins: RedisLogins;
  #stopLoginChanges: () => void = () => undefined;
  /** The credentials of the connection. */
  #login: RedisLogin;
  readonly #isReadOnly: boolean;
  readonly #timeoutMs: number;
  readonly #onLost: () => void;
  #redis: Redis | undefined;
  /** Whether a check over the connection has succeeded. */
  #isProven = false;
  /** Settles when the connection accepts reads. */
  #readOnly: Promise<unknown> = Promise.resolve();
  #error: unknown;

  /**
   * @param logins the credentials, in place of those in the options.
   * @param isReadOnly whether reads need READONLY, as at a replica in a cluster.
   * @param timeoutMs milliseconds within which the server must reply to a check.
   * @param onLost called when a connection was lost over which a check has succeeded.
   */
  constructor(options: RedisOptions, logins: RedisLogins, isReadOnly: boolean, timeoutMs: number, onLost: () => void) {
    this.#loginChoice = new LoginChoice(logins);
    this.#login = this.#loginChoice.login;
    this.#logins = logins;
    this.#options = {
      ...options,
      connectionName: 'redis-http-cache-proxy:replication',
      db: 0,
      enableReadyCheck: false,
      enableOfflineQueue: true,
      retryStrategy: () => null,
    };
    this.#isReadOnly = isReadOnly;
    this.#timeoutMs = timeoutMs;
    this.#onLost = onLost;
  }

  /** Connects if necessary, with other credentials at once if they are refused and there are others. Never rejects. */
  async check(): Promise<MonitorReply> {
    const reply = await this.#checkOnce();
    const isRefused = reply.kind === 'failed' && isLoginRefusal(reply.reason);
    return isRefused && !isSameAccount(this.#loginChoice.login, this.#login) ? this.#checkOnce() : reply;
  }

  async #checkOnce(): Promise<MonitorReply> {
    const redis = (this.#redis ??= this.#connect());
    const sentAt = performance.now();
    const end = new AbortController();
    const timeout = delay(this.#timeoutMs, TIMEOUT, { ref: false, signal: end.signal }).catch(() => TIMEOUT);
    const reply = await Promise.race([this.#query(redis), timeout]).finally(() => end.abort());
    if (typeof reply === 'string') {
      this.#loginChoice.fail(this.#login, reply);
      this.#disconnect(redis);
      return { kind: 'failed', reason: reply };
    }
    if (this.#redis === redis) this.#isProven = true;
    return { kind: 'ok', replication: reply, sentAt, receivedAt: performance.now() };
  }

  /** Closes the connection; a later check opens another one. */
  close(): void {
    if (this.#redis !== undefined) this.#disconnect(this.#redis);
  }

  /** Returns the replication of the server, or why it cannot be read. */
  async #query(redis: Redis): Promise<Replication | string> {
    const read = redis.get(PROBE).catch((error: unknown) => {
      // A refused or redirected key does not concern the others.
      if (isServerFailure(failureOf(error))) throw error;
    });
    try {
      const [info] = await Promise.all([redis.info('replication'), read, this.#readOnly]);
      return parseReplication(info);
    } catch (error) {
      return this.#reasonOf(error);
    }
  }

  #reasonOf(error: unknown): string {
    const missing = missingPermissionIn(error);
    // The cause of the close is more useful than the fact that the connection was closed.
    return missing === undefined ? errorCode(this.#error ?? error) : `the account lacks ${missing}`;
  }

  #connect(): Redis {
    this.#login = this.#loginChoice.login;
    const redis = new Redis({ ...this.#options, ...loginOptions(this.#login) });
    this.#error = undefined;
    this.#isProven = false;
    redis.on('error', (error: unknown) => (this.#error ??= error));
    redis.on('close', () => {
      if (this.#redis !== redis) return;
      this.#disconnect(redis);
      // Otherwise a server that refuses connections would be checked again at once, for ever.
      if (this.#isProven) this.#onLost();
    });
    this.#readOnly = this.#isReadOnly ? redis.readonly() : Promise.resolve();
    this.#readOnly.catch(() => undefined);
    this.#stopLoginChanges = this.#logins.onChange(() => this.#authenticate(this.#logins.current));
    return redis;
  }

  /** Authenticates the connection with changed credentials; it stays as it is if they are refused. */
  #authenticate({ username, password }: RedisLogin): void {
    if (this.#redis === undefined || password === undefined) return;
    sendAuth(this.#redis, username, password).catch(() => undefined);
  }

  #disconnect(redis: Redis): void {
    if (this.#redis === redis) {
      this.#redis = undefined;
      this.#stopLoginChanges();
    }
    redis.disconnect();
  }
}

const TIMEOUT = 'no reply in time';
