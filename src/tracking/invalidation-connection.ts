import { performance } from 'node:perf_hooks';
import { Redis, type RedisOptions, ReplyError } from 'ioredis';
import { missingRightIn, errorCode } from '../redis/redis-failure.ts';

/** Where Redis tells connections that speak RESP2 of what they track. */
const CHANNEL = '__redis__:invalidate';
const PING_INTERVAL_MS = 250;
/** With so many PINGs unanswered when the next one is due, the connection is given up. */
const MOST_UNANSWERED = 2;

/**
 * Milliseconds after a write's acknowledgement at which it is known here, or the connection is given up. Redis puts the
 * news of a write into this connection before it acknowledges the write, so the answer to a PING that was sent later
 * comes behind it. The next PING is sent within one interval, and has to be answered within the two that follow.
 */
export const STALENESS_BOUND_MS = (1 + MOST_UNANSWERED) * PING_INTERVAL_MS;

/** Why there is no news any more. */
export type ConnectionEnd =
  /** No connection, or silence. */
  | { readonly kind: 'lost'; readonly reason: string }
  /** The Redis says that it will not, or cannot. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface ConnectionListener {
  /** From now on all writes are told. */
  tracking(): void;
  /** All writes have been told that were acknowledged so many milliseconds ago. */
  heard(agoMs: number): void;
  invalidated(key: Buffer): void;
  flushed(): void;
  /** Called once, and nothing after it. */
  ended(end: ConnectionEnd): void;
}

/**
 * One connection over which Redis tells of all writes, whoever reads the keys (`BCAST`). It redirects the news to itself
 * and subscribes to it: so there is no second connection whose loss nobody would tell of, and the PINGs on this one say
 * that the news before them has arrived.
 */
export class InvalidationConnection {
  readonly #redis: Redis;
  readonly #prefixes: readonly Buffer[];
  readonly #listener: ConnectionListener;
  readonly #nodeId: string;
  #timer: NodeJS.Timeout;
  #unanswered = 0;
  #ended = false;

  /**
   * @param options of a connection that speaks RESP2, to be made once.
   * @param prefixes what the keys start with that are of interest; none: all are.
   * @param startMs milliseconds in which it has to be tracking.
   * @param nodeId the node of a cluster that it has to lead to; empty: any.
   */
  constructor(
    options: RedisOptions,
    prefixes: readonly Buffer[],
    startMs: number,
    listener: ConnectionListener,
    nodeId = '',
  ) {
    this.#redis = new Redis(options);
    this.#prefixes = prefixes;
    this.#listener = listener;
    this.#nodeId = nodeId;
    this.#redis.on('error', (error: Error) => this.#end({ kind: 'lost', reason: errorCode(error) }));
    this.#redis.on('close', () => this.#end({ kind: 'lost', reason: 'connection' }));
    this.#redis.on('messageBuffer', (_channel: Buffer, message: unknown) => this.#receive(message));
    this.#timer = setTimeout(() => this.#end({ kind: 'lost', reason: 'timeout' }), startMs);
    void this.#start();
  }

  /** Ends it without a word. */
  close(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#redis.disconnect();
  }

  async #start(): Promise<void> {
    try {
      await this.#redis.connect();
    } catch (error) {
      // Nothing that a Redis says before it can be asked is about tracking.
      return this.#end({ kind: 'lost', reason: errorCode(error) });
    }
    try {
      if (!(await this.#isMeant())) return this.#end({ kind: 'lost', reason: 'another node' });
      await this.#track();
    } catch (error) {
      return this.#fail(error);
    }
    if (this.#ended) return;
    clearTimeout(this.#timer);
    this.#timer = setInterval(() => this.#beat(), PING_INTERVAL_MS);
    this.#listener.tracking();
    this.#beat();
  }

  /**
   * Whether the node at the address is the one that CLUSTER SLOTS names there: the address may lead to its predecessor for a
   * while, which receives no writes any more. A node that does not say its id is taken for it.
   */
  async #isMeant(): Promise<boolean> {
    if (this.#nodeId === '') return true;
    try {
      return String(await this.#redis.cluster('MYID')) === this.#nodeId;
    } catch (error) {
      if (isRefusal(error)) return true;
      throw error;
    }
  }

  /** In this order, since a connection that has subscribed may ask for nothing else. What is told before that is lost. */
  async #track(): Promise<void> {
    const id = await this.#redis.client('ID');
    const prefixes = this.#prefixes.flatMap((prefix) => ['PREFIX', prefix]);
    await this.#redis.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'BCAST', ...prefixes);
    await this.#redis.subscribe(CHANNEL);
  }

  #beat(): void {
    if (this.#unanswered === MOST_UNANSWERED) return this.#end({ kind: 'lost', reason: 'timeout' });
    this.#unanswered++;
    const askedAt = performance.now();
    this.#redis.ping().then(
      () => this.#receivePong(askedAt),
      (error: unknown) => this.#fail(error),
    );
  }

  #receivePong(askedAt: number): void {
    this.#unanswered--;
    if (!this.#ended) this.#listener.heard(performance.now() - askedAt);
  }

  /** @param message keys, or null when the Redis was emptied; anything else was published by somebody. */
  #receive(message: unknown): void {
    if (this.#ended) return;
    if (message === null) this.#listener.flushed();
    else if (Array.isArray(message)) for (const key of message as Buffer[]) this.#listener.invalidated(key);
  }

  #fail(error: unknown): void {
    const missingRight = missingRightIn(error);
    const reason = errorCode(error) + (missingRight === undefined ? '' : `: its account lacks ${missingRight}`);
    this.#end({ kind: isRefusal(error) ? 'refused' : 'lost', reason });
  }

  #end(end: ConnectionEnd): void {
    if (this.#ended) return;
    this.close();
    this.#listener.ended(end);
  }
}

/** Other errors (LOADING, BUSY, …) are of the moment. */
function isRefusal(error: unknown): boolean {
  return error instanceof ReplyError && /^(ERR|NOPERM)\b/.test((error as Error).message);
}
