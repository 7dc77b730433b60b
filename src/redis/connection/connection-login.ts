import { performance } from 'node:perf_hooks';
import type { Redis } from 'ioredis';
import type { RedisLogin } from '../../config/settings.ts';
import { errorCode } from '../redis-failure.ts';
import {
  LoginChoice,
  type RedisLogins,
  isLoginRefusal,
  isSameAccount,
  loginOptions,
  loginRetryMs,
  sendAuth,
} from '../redis-logins.ts';

/** Minimum milliseconds between two times at which a connection is re-established because Redis replied NOAUTH. */
const MIN_NOAUTH_MS = 1000;

/**
 * The credentials of one connection, which may change while it exists: authenticates it with the new ones, or sets those for
 * the next attempt to connect. A connection that is authenticated stays as it is if Redis refuses the new ones.
 */
export class ConnectionLogin {
  readonly #redis: Redis;
  readonly #logins: RedisLogins;
  readonly #choice: LoginChoice;
  /** The credentials for the next attempt to connect, and those of the present one or of the connection. */
  #next: RedisLogin;
  #session: RedisLogin;
  readonly #stopChanges: () => void;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Time by `performance.now()` at which the connection was re-established because Redis replied NOAUTH. */
  #noAuthAt = -Infinity;

  /** @param redis a client that has not connected yet, without credentials. */
  constructor(redis: Redis, logins: RedisLogins) {
    this.#redis = redis;
    this.#logins = logins;
    this.#choice = new LoginChoice(logins);
    this.#next = this.#session = this.#choice.login;
    this.#use(this.#next);
    redis.on('connecting', () => {
      this.#session = this.#next;
    });
    this.#stopChanges = logins.onChange(() => this.#useChanged());
  }

  /** Whether the credentials may change. */
  get mayChange(): boolean {
    return this.#logins.mayChange;
  }

  close(): void {
    this.#stopChanges();
    clearTimeout(this.#timer);
  }

  /** Must be called when the connection is ready; authenticates it if it has former credentials. */
  noteReady(): void {
    this.#attempts = 0;
    if (isSameAccount(this.#choice.login, this.#logins.current)) void this.#authenticate();
    else this.#authenticateLater();
  }

  /**
   * Must be called when an attempt to connect has failed; chooses the credentials for the next one.
   *
   * @param reason an error code.
   * @returns whether the credentials were refused.
   */
  noteFailedAttempt(reason: string): boolean {
    // The sentinels are asked with the credentials of the next attempt, which may have been set since this one began.
    const { username, password } = this.#session;
    this.#choice.fail({ ...this.#next, username, password }, reason);
    const isRefused = isLoginRefusal(reason);
    if (isRefused) this.#use(this.#choice.login);
    return isRefused;
  }

  /** Must be called when the connection was closed. */
  noteClose(): void {
    clearTimeout(this.#timer);
    this.#use(this.#choice.login);
  }

  /**
   * Whether the connection must be re-established, because Redis requires authentication on it (`reason`); at most once a second,
   * because Redis may reply the same on each new connection.
   */
  mustReconnect(reason: string): boolean {
    const now = performance.now();
    if (now - this.#noAuthAt < MIN_NOAUTH_MS) return false;
    this.#noAuthAt = now;
    this.#logins.report({ kind: 'refused', reason, isConnected: false });
    return true;
  }

  /** Uses changed credentials: at once on the connection, or for the next attempt to connect, which is made at once. */
  #useChanged(): void {
    this.#attempts = 0;
    const { status } = this.#redis;
    if (status === 'ready') return void this.#authenticate();
    // The outcome of a pending attempt with the former credentials decides.
    if (status === 'connecting' || status === 'connect') return;
    this.#use(this.#choice.login);
    if (status === 'reconnecting') void this.#redis.connect().catch(() => undefined);
  }

  /** Authenticates the connection with the present credentials; it stays as it is if they are refused. */
  async #authenticate(): Promise<void> {
    clearTimeout(this.#timer);
    const { current } = this.#logins;
    const { username, password } = current;
    this.#use(current);
    if (isSameAccount(current, this.#session)) {
      const { previous } = this.#logins;
      if (previous !== undefined && !isSameAccount(current, previous)) this.#logins.report({ kind: 'accepted' });
      return;
    }
    if (password === undefined) return;
    try {
      await sendAuth(this.#redis, username, password);
      this.#session = current;
      this.#logins.report({ kind: 'accepted' });
    } catch (error) {
      const reason = errorCode(error);
      if (isLoginRefusal(reason)) this.#logins.report({ kind: 'refused', reason, isConnected: true });
      if (this.#redis.status === 'ready') this.#authenticateLater();
    }
  }

  #authenticateLater(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#authenticate(), loginRetryMs(++this.#attempts)).unref();
  }

  /** Sets the credentials that ioredis uses when it connects next. */
  #use(login: RedisLogin): void {
    this.#next = login;
    Object.assign(this.#redis.options, loginOptions(login));
  }
}
