import type { Redis, RedisOptions } from 'ioredis';
import type { Secret } from '../config/secret.ts';
import type { RedisLogin, Settings } from '../config/settings.ts';

/** Milliseconds before a live connection is authenticated again after a refusal; doubled with each one. */
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** What Redis, or a sentinel, replied to credentials. */
export type LoginOutcome =
  | { readonly kind: 'accepted' }
  /** `reason` is an error code; `isConnected`: the connection was authenticated before, and stays so. */
  | { readonly kind: 'refused'; readonly reason: string; readonly isConnected: boolean };

/** Whether the code of an error says that Redis or a sentinel requires other credentials. */
export function isLoginRefusal(reason: string): boolean {
  return /^(?:sentinels: )?(?:NOAUTH|WRONGPASS)$|^AUTH: /.test(reason);
}

/** Returns the milliseconds to wait before a live connection is authenticated for the `attempt`-th time (from 1) again. */
export function loginRetryMs(attempt: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** (attempt - 1), MAX_RETRY_MS);
}

/** Returns the ioredis options for these credentials. */
export function loginOptions(login: RedisLogin): RedisOptions {
  return {
    username: login.username,
    password: login.password?.reveal(),
    sentinelUsername: login.sentinelUsername,
    sentinelPassword: login.sentinelPassword?.reveal(),
  };
}

/** Sends AUTH with these credentials. */
export function sendAuth(redis: Redis, username: string | undefined, password: Secret): Promise<unknown> {
  return username === undefined ? redis.auth(password.reveal()) : redis.auth(username, password.reveal());
}

/** Returns the credentials in these settings. */
export function loginIn({ username, password, sentinel }: Settings['redis']): RedisLogin {
  return { username, password, sentinelUsername: sentinel.username, sentinelPassword: sentinel.password };
}

/**
 * Returns the credentials to fall back to after a change: for each of the two accounts those before its own last change.
 *
 * @param earlier the ones to fall back to before this change.
 */
export function previousOf(before: RedisLogin, now: RedisLogin, earlier: RedisLogin = before): RedisLogin {
  const { username, password } = isSameAccount(before, now) ? earlier : before;
  const { sentinelUsername, sentinelPassword } = isSameSentinelAccount(before, now) ? earlier : before;
  return { username, password, sentinelUsername, sentinelPassword };
}

/** Whether both have the same accounts. */
export function isSameLogin(one: RedisLogin, other: RedisLogin): boolean {
  return isSameAccount(one, other) && isSameSentinelAccount(one, other);
}

/** Whether both have the same account for Redis. */
export function isSameAccount(one: RedisLogin, other: RedisLogin): boolean {
  return one.username === other.username && one.password?.reveal() === other.password?.reveal();
}

function isSameSentinelAccount(one: RedisLogin, other: RedisLogin): boolean {
  return (
    one.sentinelUsername === other.sentinelUsername &&
    one.sentinelPassword?.reveal() === other.sentinelPassword?.reveal()
  );
}

/** The credentials of the connections of one thread, which change while the proxy runs if they come from files. */
export class RedisLogins {
  /** Whether the credentials come from files. */
  readonly mayChange: boolean;
  readonly #listeners = new Set<() => void>();
  #current: RedisLogin;
  #previous: RedisLogin | undefined;
  #watch: (outcome: LoginOutcome) => void = () => undefined;

  constructor(redis: Settings['redis']) {
    const files = [redis.accountFiles, redis.sentinel.accountFiles];
    this.mayChange = files.some(({ username, password }) => username !== undefined || password !== undefined);
    this.#current = loginIn(redis);
    this.#previous = redis.previousLogin;
  }

  get current(): RedisLogin {
    return this.#current;
  }

  /** The credentials before the last change of each account. */
  get previous(): RedisLogin | undefined {
    return this.#previous;
  }

  /** Uses the credentials in these settings from now on, if they are other ones. */
  use(redis: Settings['redis']): void {
    const login = loginIn(redis);
    if (isSameLogin(login, this.#current)) return;
    this.#previous = previousOf(this.#current, login, this.#previous);
    this.#current = login;
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls `listener` after each change; returns a function that ends this. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls `watch` with the outcomes that connections report. */
  watch(watch: (outcome: LoginOutcome) => void): void {
    this.#watch = watch;
  }

  report(outcome: LoginOutcome): void {
    this.#watch(outcome);
  }
}

/**
 * Chooses the credentials for the next attempt to connect to one server: the present ones and, in turn with them while they
 * are refused, the previous ones. A file may change before the server does, or contain a mistake.
 */
export class LoginChoice {
  readonly #logins: RedisLogins;
  /** The present credentials, if Redis or the sentinels refused them last. */
  #refused: RedisLogin | undefined;
  #refusedBySentinels: RedisLogin | undefined;

  constructor(logins: RedisLogins) {
    this.#logins = logins;
  }

  get login(): RedisLogin {
    const { current, previous = current } = this.#logins;
    const { username, password } = this.#refused === current ? previous : current;
    const { sentinelUsername, sentinelPassword } = this.#refusedBySentinels === current ? previous : current;
    return { username, password, sentinelUsername, sentinelPassword };
  }

  /**
   * Must be called when an attempt has failed; ignores failures for another reason than the credentials.
   *
   * @param used the credentials of the attempt.
   * @param reason an error code.
   */
  fail(used: RedisLogin, reason: string): void {
    if (!isLoginRefusal(reason)) return;
    const { current } = this.#logins;
    if (reason.startsWith('sentinels: ')) {
      this.#refusedBySentinels = isSameSentinelAccount(used, current) ? current : undefined;
    } else {
      this.#refused = isSameAccount(used, current) ? current : undefined;
    }
    this.#logins.report({ kind: 'refused', reason, isConnected: false });
  }
}
