import type { Socket } from 'node:net';
import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Access, OPEN_ACCESS } from '../../access/access.ts';
import { BufferedBytes } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { PendingReads } from '../../cache/read-through/pending-reads.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import type { SelfCheckCache } from '../../cache/self-check-cache.ts';
import { Settings } from '../../config/settings.ts';
import { OutputBuffer } from '../../net/output-buffer.ts';
import { SharedReadBuffer } from '../../net/shared-read-buffer.ts';
import { idleTimeoutMs } from '../../net/time-limits.ts';
import { Cors } from '../server/cors.ts';
import { type KeyAnswerPolicy, hitAnswer, storedAnswer } from '../keys/key-response.ts';
import { CachingPolicy } from '../keys/caching-policy.ts';
import { HttpDate, type Persistence } from '../response/response-head.ts';
import { ResponseHeadTemplates } from './response-head-templates.ts';
import { type FastPathContext, FastPathConnection } from './fast-path-connection.ts';
import { LONGEST_HEAD_BYTES, RequestHead } from './request-head.ts';

/** Milliseconds between two looks at the connections: time-outs are kept to this accuracy. */
const TICK_MS = 100;
/** Milliseconds by which node:http keeps a connection longer than it says, as a request may be on its way. */
const KEEP_ALIVE_MARGIN_MS = 1000;

/** Where a connection goes that leaves the fast path. */
export interface FastPathExit {
  /** Gives a connection to node:http, which is to find these bytes first. */
  leave(socket: Socket, rest: Buffer): void;
  /** Ends a connection on which no request has come in time. */
  giveUp(socket: Socket): void;
}

/**
 * the fast path of a thread: it has every connection first, and answers plain requests for keys from whole chunks of the
 * socket, without node:http and Express, which cost more than the answer does. Anything else goes untouched to
 * node:http, with all that follows it on its connection: so the odd case is always judged by a whole HTTP stack.
 */
@Injectable()
export class KeyFastPath implements FastPathContext, OnApplicationShutdown {
  readonly access: Access;
  readonly cache: CacheService;
  readonly memory: BufferedBytes;
  readonly pending: PendingReads;
  readonly policy: KeyAnswerPolicy;
  readonly headers: readonly string[];
  readonly date = new HttpDate();
  readonly messages: ResponseHeadTemplates;
  readonly storedMessages: ResponseHeadTemplates;
  readonly head: RequestHead;
  readonly hit = new HitBuffer();
  readonly output = new OutputBuffer();
  readonly reads = new SharedReadBuffer();
  readonly keyBytes: Buffer;
  readonly connections = new Set<FastPathConnection>();
  readonly stallTimeoutMs: number;
  /** Whether connections are to be given to the fast path at all. */
  readonly on: boolean;
  closing = false;
  ticks = 0;
  readonly #logger = new Logger(KeyFastPath.name);
  readonly #keepAlive: Persistence;
  readonly #close: Persistence;
  readonly #ticksToFirst: number;
  readonly #ticksToNext: number;
  readonly #shared: readonly [Cors, CachingPolicy, Settings];
  #exit: FastPathExit | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    access: Access,
    cache: CacheService,
    counts: ReadMetrics,
    cors: Cors,
    policy: CachingPolicy,
    buffered: BufferedBytes,
    settings: Settings,
  ) {
    this.#shared = [cors, policy, settings];
    const { http, proxy } = settings;
    this.access = access;
    this.cache = cache;
    this.memory = buffered;
    this.pending = new PendingReads('http', counts);
    this.policy = policy;
    this.headers = cors.headers;
    const [keepAliveMs, more] = [http.keepAliveTimeoutMs, this.headers];
    this.messages = new ResponseHeadTemplates(hitAnswer, this.policy, keepAliveMs, this.date, more);
    this.storedMessages = new ResponseHeadTemplates(storedAnswer, this.policy, keepAliveMs, this.date, more);
    this.#keepAlive = { close: false, keepAliveTimeoutMs: http.keepAliveTimeoutMs };
    this.#close = { close: true, keepAliveTimeoutMs: 0 };
    const longestHead = Math.min(LONGEST_HEAD_BYTES, http.maxHeaderBytes);
    // Answers that depend on the origin are node:http's.
    this.head = new RequestHead(longestHead, cors.byOrigin ? ['origin'] : []);
    this.keyBytes = Buffer.alloc(longestHead);
    this.stallTimeoutMs = idleTimeoutMs(settings);
    this.#ticksToFirst = Math.min(http.headersTimeoutMs, http.requestTimeoutMs) / TICK_MS;
    this.#ticksToNext = (http.keepAliveTimeoutMs + KEEP_ALIVE_MARGIN_MS) / TICK_MS;
    // One request after the other, over all connections, is not what the fast path is for.
    this.on = http.fastPath === 'on' && proxy.mode === 'parallel';
  }

  /** Returns a fast path like this one for connections of the self-check: every key may be read, from the given cache. */
  withCache({ cache, counts, buffered }: SelfCheckCache): KeyFastPath {
    const [cors, policy, settings] = this.#shared;
    return new KeyFastPath(OPEN_ACCESS, cache, counts, cors, policy, buffered, settings);
  }

  /** Takes connections from now on, and gives those to `exit` that are not for the fast path. */
  open(exit: FastPathExit): void {
    this.#exit = exit;
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  take(socket: Socket): void {
    new FastPathConnection(this, socket);
  }

  persistence(close: boolean): Persistence {
    return close ? this.#close : this.#keepAlive;
  }

  leave(socket: Socket, rest: Buffer): void {
    this.#exit?.leave(socket, rest);
  }

  giveUp(socket: Socket): void {
    this.#exit?.giveUp(socket);
  }

  report(bug: unknown): void {
    this.#logger.error(bug instanceof Error ? bug.stack : bug);
  }

  /** Lets every answer from now on be the last one of its connection. */
  close(): void {
    this.closing = true;
  }

  /** Ends the connections on which nothing is under way. */
  cutIdle(): void {
    for (const connection of this.connections) connection.cutIfIdle();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    this.ticks++;
    for (const connection of this.connections) connection.expire(this.#ticksToFirst, this.#ticksToNext);
  }
}
