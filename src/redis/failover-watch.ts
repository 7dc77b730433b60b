import { lookup } from 'node:dns/promises';
import type { Socket } from 'node:net';
import { Redis, ReplyError } from 'ioredis';
import type { RedisNode } from '../config/redis/redis-nodes.ts';
import type { RedisLogin, Settings } from '../config/settings.ts';
import { errorCode } from './redis-failure.ts';
import { LoginChoice, type RedisLogins, loginRetryMs } from './redis-logins.ts';
import { backOffMs, sentinelOptions } from './redis-options.ts';

/** Channel on which a sentinel reports failovers: name of the master, host and port of the former one, and of the new one. */
const CHANNEL = '+switch-master';
/** Milliseconds without data after which the kernel checks whether a sentinel is still there. */
const KEEP_ALIVE_MS = 30_000;

/**
 * Called when a sentinel reports that there is another master. Each sentinel does when it learns of a failover, and before
 * that it still names the former master.
 */
type OnFailover = (master: RedisNode, sentinel: RedisNode) => void;

/**
 * Subscribes to the failovers of the master at each sentinel. Subscribes again after a loss, with the present credentials; a
 * change of these does not concern subscriptions, which sentinels keep.
 */
export class FailoverWatch {
  readonly #subscriptions: readonly SentinelSubscription[];

  constructor(redis: Settings['redis'], logins: RedisLogins, onFailover: OnFailover) {
    const { name = '' } = redis.sentinel;
    this.#subscriptions = redis.nodes.map((sentinel) => {
      const receive = (text: string): void => {
        const master = masterIn(text, name);
        if (master !== undefined) onFailover(master, sentinel);
      };
      return new SentinelSubscription(redis, sentinel, logins, receive);
    });
  }

  start(): void {
    for (const subscription of this.#subscriptions) subscription.start();
  }

  close(): void {
    for (const subscription of this.#subscriptions) subscription.close();
  }
}

/** Whether a socket is connected to a server, which sentinels that announce names list by its name. */
export async function leadsTo({ remoteAddress, remotePort }: Socket, { host, port }: RedisNode): Promise<boolean> {
  if (remoteAddress === undefined || remotePort !== port) return false;
  if (remoteAddress === host) return true;
  const addresses = await lookup(host, { all: true }).catch(() => []);
  return addresses.some(({ address }) => address === remoteAddress);
}

/** Returns the new master in a message; undefined if it concerns one with another name. */
function masterIn(text: string, name: string): RedisNode | undefined {
  const [of, , , host, port] = text.split(' ');
  return of === name ? { host, port: Number(port) } : undefined;
}

/** A subscription at one sentinel. */
class SentinelSubscription {
  readonly #redis: Settings['redis'];
  readonly #node: RedisNode;
  readonly #loginChoice: LoginChoice;
  readonly #onMessage: (text: string) => void;
  readonly #stopLoginChanges: () => void;
  #connection: Redis | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;

  constructor(redis: Settings['redis'], node: RedisNode, logins: RedisLogins, onMessage: (text: string) => void) {
    this.#redis = redis;
    this.#node = node;
    this.#loginChoice = new LoginChoice(logins);
    this.#onMessage = onMessage;
    this.#stopLoginChanges = logins.onChange(() => {
      // The outcome of a pending attempt decides.
      if (this.#retry !== undefined) this.start();
    });
  }

  start(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const { login } = this.#loginChoice;
    const redis = new Redis({
      ...sentinelOptions(this.#redis, this.#node, login),
      // It may receive nothing for months, also if the sentinel's machine is gone.
      keepAlive: KEEP_ALIVE_MS,
    });
    this.#connection = redis;
    let failure: unknown;
    const fail = (error: unknown): void => {
      failure ??= error;
      redis.disconnect();
    };
    redis.on('error', fail);
    redis.on('message', (_channel: string, text: string) => this.#onMessage(text));
    redis.on('end', () => this.#subscribeLater(redis, login, failure));
    redis.subscribe(CHANNEL).then(() => (this.#attempts = 0), fail);
  }

  close(): void {
    this.#stopLoginChanges();
    clearTimeout(this.#retry);
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.disconnect();
  }

  #subscribeLater(redis: Redis, login: RedisLogin, failure: unknown): void {
    if (this.#connection !== redis) return;
    this.#connection = undefined;
    this.#loginChoice.fail(login, `sentinels: ${errorCode(failure)}`);
    const attempt = ++this.#attempts;
    // A sentinel that refuses the credentials, or the subscription, does so for a while.
    const delayMs = failure instanceof ReplyError ? loginRetryMs(attempt) : backOffMs(attempt);
    this.#retry = setTimeout(() => this.start(), delayMs).unref();
  }
}
