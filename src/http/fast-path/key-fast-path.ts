import type { Socket } from 'node:net';
import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Access, OPEN_ACCESS } from '../../access/access.ts';
import { BufferedBytes } from '../../cache/read-through/buffered-bytes.ts';
import { CacheService } from '../../cache/cache.service.ts';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { PendingReads } from '../../instance/pending-reads.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import type { SelfCheckCache } from '../../cache/self-check-cache.ts';
import type { ConfigType } from '@nestjs/config';
import { httpConfig, proxyConfig, redisConfig } from '../../config/namespaces.ts';
import type { Settings } from '../../config/settings.ts';
import { OutputBuffer } from '../../net/output-buffer.ts';
import { SharedReadBuffer } from '../../net/shared-read-buffer.ts';
import { idleTimeoutMs } from '../../net/time-limits.ts';
import { Cors } from '../server/cors.ts';
import { type KeyResponsePolicy, hitResponse, storedResponse } from '../keys/key-response.ts';
import { CachingPolicy } from '../keys/caching-policy.ts';
import { type AcceptedCodings, NO_CODINGS } from '../content/accepted-codings.ts';
import { type Representation, Representations } from '../content/representations.ts';
import { ByteMemo } from './byte-memo.ts';
import { HttpDate, type Persistence } from '../response/response-head.ts';
import { ResponseHeadTemplates } from './response-head-templates.ts';
import { FastPathConnection } from './fast-path-connection.ts';
import type { RepresentationName } from '../resources/resource.ts';
import type { FastHeads, FastPathContext, FastRepresentation, IdleConnection } from './fast-path-context.ts';
import { ResourceReads } from './resource-reads.ts';
import { MAX_HEAD_BYTES, RequestHead } from './request-head.ts';

/** Milliseconds between two checks of the connections' time-outs, which are this accurate. */
const TICK_MS = 100;
/** Milliseconds by which a connection outlives its announced keep-alive, as in node:http: a request may be on its way. */
const KEEP_ALIVE_MARGIN_MS = 1000;

/** Maximum number of Accept-Encoding headers that are remembered. */
const MAX_CODINGS = 64;
/** Bytes by which a selector may be longer than the query of its request: the names and the defaults of its arguments. */
const MAX_SELECTOR_EXCESS = 128;

/** Receives the connections that leave the fast path. */
export interface FastPathExit {
  /** Hands a connection over to node:http, which must parse these bytes first. */
  handOver(socket: Socket, received: Buffer): void;
  /** Rejects a connection on which no request has arrived in time. */
  onHeadersTimeout(socket: Socket): void;
}

/**
 * The fast path of a thread. Every connection starts here: plain reads of keys are parsed from the socket's chunks and served
 * without node:http and Express, which would cost more than the read itself. Any other request is handed over to node:http
 * unchanged, with everything that follows it on its connection, so that unusual requests are always parsed by a complete
 * HTTP implementation.
 */
@Injectable()
export class KeyFastPath implements FastPathContext, OnApplicationShutdown {
  readonly access: Access;
  readonly cache: CacheService;
  readonly memory: BufferedBytes;
  readonly pending: PendingReads;
  readonly value: FastRepresentation;
  readonly hitHeads: ResponseHeadTemplates;
  readonly representations: Readonly<Record<RepresentationName, FastRepresentation>>;
  readonly representationsDiffer: boolean;
  readonly headers: readonly string[];
  readonly date = new HttpDate();
  readonly head: RequestHead;
  readonly resources = new ResourceReads();
  readonly hit = new HitBuffer();
  readonly output = new OutputBuffer();
  readonly reads = new SharedReadBuffer();
  readonly keyBytes: Buffer;
  readonly connections = new Set<IdleConnection>();
  readonly requestTimeoutMs: number;
  readonly stallTimeoutMs: number;
  /** Whether connections start on the fast path. */
  readonly enabled: boolean;
  closing = false;
  ticks = 0;
  readonly #logger = new Logger(KeyFastPath.name);
  readonly #keepAlive: Persistence;
  readonly #close: Persistence;
  readonly #ticksToFirst: number;
  readonly #ticksToNext: number;
  /** Constructor arguments that {@link withCache} passes on. */
  readonly #passedOn: readonly [Cors, CachingPolicy, Pick<Settings, 'http' | 'redis' | 'proxy'>];
  readonly #representations: Representations;
  readonly #fastRepresentations = new Map<Representation, FastRepresentation>();
  readonly #codings = new ByteMemo<AcceptedCodings>(MAX_CODINGS);
  #exit: FastPathExit | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    access: Access,
    cache: CacheService,
    counts: ReadMetrics,
    cors: Cors,
    policy: CachingPolicy,
    representations: Representations,
    buffered: BufferedBytes,
    @Inject(httpConfig.KEY) http: ConfigType<typeof httpConfig>,
    @Inject(redisConfig.KEY) redis: ConfigType<typeof redisConfig>,
    @Inject(proxyConfig.KEY) proxy: ConfigType<typeof proxyConfig>,
  ) {
    this.#passedOn = [cors, policy, { http, redis, proxy }];
    this.access = access;
    this.cache = cache;
    this.memory = buffered;
    this.pending = new PendingReads('http', counts);
    this.headers = cors.headers;
    this.#representations = representations;
    this.representationsDiffer = representations.differ;
    this.#keepAlive = { close: false, keepAliveTimeoutMs: http.keepAliveTimeoutMs };
    const { value, json, field, member } = policy.representations;
    const represent = (of: KeyResponsePolicy) => this.#represent({ policy: of, variant: undefined });
    this.value = represent(value);
    this.hitHeads = this.value.hitHeads;
    this.representations = {
      value: this.value,
      json: represent(json),
      field: represent(field),
      member: represent(member),
    };
    this.#close = { close: true, keepAliveTimeoutMs: 0 };
    const longestHead = Math.min(MAX_HEAD_BYTES, http.maxHeaderBytes);
    // node:http serves the responses that depend on the origin.
    this.head = new RequestHead(longestHead, cors.byOrigin ? ['origin'] : [], representations.dependOnCodings);
    this.keyBytes = Buffer.alloc(longestHead + MAX_SELECTOR_EXCESS);
    this.requestTimeoutMs = http.requestTimeoutMs;
    this.stallTimeoutMs = idleTimeoutMs({ http, redis });
    this.#ticksToFirst = Math.min(http.headersTimeoutMs, http.requestTimeoutMs) / TICK_MS;
    this.#ticksToNext = (http.keepAliveTimeoutMs + KEEP_ALIVE_MARGIN_MS) / TICK_MS;
    // The sequential mode serialises requests across connections, which the fast path does not do.
    this.enabled = http.fastPath === 'on' && proxy.mode === 'parallel';
  }

  /** Returns a fast path with the same settings for the self-check: it reads every key, from the given cache. */
  withCache({ cache, counts, buffered }: SelfCheckCache): KeyFastPath {
    const [cors, policy, { http, redis, proxy }] = this.#passedOn;
    // The value of the self-check is in no coding, whatever the settings say of its key.
    const representations = new Representations({ ...http, contentEncodings: [] }, policy);
    return new KeyFastPath(OPEN_ACCESS, cache, counts, cors, policy, representations, buffered, http, redis, proxy);
  }

  /** Starts the time-outs; connections that leave the fast path go to `exit`. */
  open(exit: FastPathExit): void {
    this.#exit = exit;
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /** Serves a new connection. @param connectedAt value of {@link ticks} when the client connected. */
  accept(socket: Socket, connectedAt = this.ticks): void {
    new FastPathConnection(this, socket, connectedAt);
  }

  representationFor(name: RepresentationName, keyEnd: number, bytes: Buffer): FastRepresentation {
    const codings = this.#representations.dependOnCodings ? this.#codingsIn(bytes) : NO_CODINGS;
    const representation = this.#representations.of(name, codings, this.keyBytes, 0, keyEnd);
    let fast = this.#fastRepresentations.get(representation);
    if (fast === undefined) {
      fast = this.#represent(representation);
      this.#fastRepresentations.set(representation, fast);
    }
    return fast;
  }

  persistence(close: boolean): Persistence {
    return close ? this.#close : this.#keepAlive;
  }

  handOver(socket: Socket, received: Buffer): void {
    this.#exit?.handOver(socket, received);
  }

  onHeadersTimeout(socket: Socket): void {
    this.#exit?.onHeadersTimeout(socket);
  }

  report(bug: unknown): void {
    this.#logger.error(bug instanceof Error ? bug.stack : bug);
  }

  /** Closes each connection after its next response. */
  close(): void {
    this.closing = true;
  }

  /** Destroys the connections without a request in flight. */
  destroyIdle(): void {
    for (const connection of this.connections) connection.destroyIfIdle();
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** Returns the codings that the client of the request in `head` accepts. */
  #codingsIn(bytes: Buffer): AcceptedCodings {
    const { acceptEncodingFrom: from, acceptEncodingTo: to } = this.head;
    if (from === 0) return NO_CODINGS;
    let codings = this.#codings.get(bytes, from, to);
    if (codings === undefined) {
      codings = this.#representations.accepted(bytes.toString('latin1', from, to));
      this.#codings.set(bytes, from, to, codings);
    }
    return codings;
  }

  #represent({ policy, variant }: Representation): FastRepresentation {
    const heads = (of: KeyResponsePolicy): FastHeads => {
      const more = [of, this.#keepAlive.keepAliveTimeoutMs, this.date, this.headers] as const;
      return {
        policy: of,
        hitHeads: new ResponseHeadTemplates(hitResponse, ...more),
        storedHeads: new ResponseHeadTemplates(storedResponse, ...more),
      };
    };
    return { ...heads(policy), variant: variant && { ...heads(variant.policy), conversion: variant.conversion } };
  }

  #tick(): void {
    this.ticks++;
    for (const connection of this.connections) connection.expire(this.#ticksToFirst, this.#ticksToNext);
  }
}
