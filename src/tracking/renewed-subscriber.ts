import { performance } from 'node:perf_hooks';
import type { RedisLogin } from '../config/settings.ts';
import {
  type LoginChoice,
  type RedisLogins,
  isLoginRefusal,
  isSameAccount,
  loginRetryMs,
} from '../redis/redis-logins.ts';
import type { Subscriber, SubscriberConnection } from './subscriber-connection.ts';

/** What a {@link RenewedSubscriber} reports; see {@link Subscriber}. */
export type RenewedListener = Pick<Subscriber, 'onSubscribed' | 'onMessage' | 'onHeartbeat' | 'onEnd'>;

/** The credentials of a {@link RenewedSubscriber}. */
export interface SubscriberLogins {
  readonly logins: RedisLogins;
  /** Chooses those of the first connection. */
  readonly choice: LoginChoice;
}

/** The connection that takes over. */
interface NextConnection {
  readonly connection: SubscriberConnection;
  readonly login: RedisLogin;
  /** Since when it is subscribed, by `performance.now()`. */
  subscribedAt: number;
}

/**
 * A subscriber connection that is replaced, without the loss of a message, when the credentials change: Redis accepts no AUTH on a
 * connection that has subscribed, and services end connections whose credentials have expired. The next connection subscribes
 * beside the present one, and takes over when the present one has received everything that Redis had sent before that; messages
 * may arrive twice meanwhile. If it cannot be established, the present one stays, and another attempt is made later.
 */
export class RenewedSubscriber {
  readonly #open: (login: RedisLogin, subscriber: RenewedListener) => SubscriberConnection;
  readonly #logins: RedisLogins;
  readonly #listener: RenewedListener;
  readonly #stopLoginChanges: () => void;
  #connection: SubscriberConnection;
  /** The credentials of the connection. */
  #login: RedisLogin;
  #isSubscribed = false;
  #next: NextConnection | undefined;
  #attempts = 0;
  #retry: NodeJS.Timeout | undefined;

  /** @param open opens a connection with these credentials; never calls the subscriber before it returns. */
  constructor(
    { logins, choice }: SubscriberLogins,
    listener: RenewedListener,
    open: (login: RedisLogin, subscriber: RenewedListener) => SubscriberConnection,
  ) {
    this.#open = open;
    this.#logins = logins;
    this.#listener = listener;
    this.#login = choice.login;
    this.#connection = open(this.#login, {
      onSubscribed: () => {
        this.#isSubscribed = true;
        listener.onSubscribed();
        if (isSameAccount(choice.login, logins.current)) this.#renew();
        else this.#renewLater();
      },
      onMessage: (message, channel) => listener.onMessage(message, channel),
      onHeartbeat: (ageMs) => this.#receiveHeartbeat(ageMs),
      onEnd: (end) => {
        choice.fail(this.#login, end.reason);
        this.#end(end);
      },
    });
    this.#stopLoginChanges = logins.onChange(() => {
      this.#attempts = 0;
      if (this.#isSubscribed) this.#renew();
    });
  }

  /** Closes the connections without calling the listener. */
  close(): void {
    this.#stopLoginChanges();
    this.#dropNext();
    this.#connection.close();
  }

  #renew(): void {
    this.#dropNext();
    const login = this.#logins.current;
    if (isSameAccount(login, this.#login)) return;
    const connection = this.#open(login, {
      onSubscribed: () => {
        next.subscribedAt = performance.now();
        this.#logins.report({ kind: 'accepted' });
      },
      onMessage: (message, channel) => this.#listener.onMessage(message, channel),
      onHeartbeat: (ageMs) => {
        if (this.#connection === connection) this.#receiveHeartbeat(ageMs);
      },
      onEnd: (end) => {
        if (this.#connection === connection) return this.#end(end);
        const { reason } = end;
        if (isLoginRefusal(reason)) this.#logins.report({ kind: 'refused', reason, isConnected: true });
        this.#next = undefined;
        this.#renewLater();
      },
    });
    const next: NextConnection = { connection, login, subscribedAt: Infinity };
    this.#next = next;
  }

  #dropNext(): void {
    clearTimeout(this.#retry);
    this.#next?.connection.close();
    this.#next = undefined;
  }

  #renewLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#renew(), loginRetryMs(++this.#attempts)).unref();
  }

  /** Lets the next connection take over once the present one has received all that Redis had sent before. */
  #receiveHeartbeat(ageMs: number): void {
    this.#listener.onHeartbeat(ageMs);
    const next = this.#next;
    if (next === undefined || performance.now() - ageMs < next.subscribedAt) return;
    this.#connection.close();
    this.#connection = next.connection;
    this.#login = next.login;
    this.#next = undefined;
    this.#attempts = 0;
  }

  #end(end: Parameters<RenewedListener['onEnd']>[0]): void {
    this.close();
    this.#listener.onEnd(end);
  }
}
