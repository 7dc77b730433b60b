import type { Socket } from 'node:net';
import type { Access } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import type { PendingReads } from '../../instance/pending-reads.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { OutputBuffer } from '../../net/output-buffer.ts';
import type { PipelineContext } from '../../net/pipeline/pipelined-connection.ts';
import type { Conversion } from '../../cache/variants/variant-reads.ts';
import type { Representation } from '../content/representations.ts';
import type { KeyResponsePolicy } from '../keys/key-response.ts';
import type { HttpDate, Persistence } from '../response/response-head.ts';
import type { RequestHead } from './request-head.ts';
import type { RepresentationName } from '../resources/resource.ts';
import type { ResourceReads } from './resource-reads.ts';
import type { ResponseHeadTemplates } from './response-head-templates.ts';

/** The heads of responses with a value. */
export interface FastHeads {
  readonly policy: KeyResponsePolicy;
  /** Heads of responses to hits. */
  readonly hitHeads: ResponseHeadTemplates;
  /** Heads of responses to misses that were loaded and stored. */
  readonly storedHeads: ResponseHeadTemplates;
}

/** A {@link Representation} with the heads of its responses. */
export interface FastRepresentation extends FastHeads, Representation {
  readonly variant: (FastHeads & { readonly conversion: Conversion }) | undefined;
}

/** A connection whose idle time is limited. */
export interface IdleConnection {
  /** Destroys the connection unless a request is in flight. */
  destroyIfIdle(): void;
  /** Closes the connection if its first request, or next request, has not arrived within that many ticks. */
  expire(ticksToFirst: number, ticksToNext: number): void;
}

/**
 * Per-thread context shared by all connections on the fast path. A connection uses the shared buffers for one call at a
 * time, and leaves nothing in them.
 */
export interface FastPathContext extends PipelineContext {
  readonly access: Access;
  readonly cache: CacheService;
  /** Counts of reads, published before their responses are written, and committed once they are. */
  readonly pending: PendingReads;
  /** Responses with the value of a key. */
  readonly value: FastRepresentation;
  /** Heads of responses to hits of these. */
  readonly hitHeads: ResponseHeadTemplates;
  readonly representations: Readonly<Record<RepresentationName, FastRepresentation>>;
  /** Whether representations depend on the request: {@link representationFor} selects one. */
  readonly representationsDiffer: boolean;
  /** Returns a representation of the key in `keyBytes`, up to `keyEnd`, for the request in `head`, which starts in `bytes`. */
  representationFor(name: RepresentationName, keyEnd: number, bytes: Buffer): FastRepresentation;
  /** Names and values of headers added to every response. */
  readonly headers: readonly string[];
  readonly date: HttpDate;
  readonly head: RequestHead;
  readonly resources: ResourceReads;
  readonly hit: HitBuffer;
  readonly output: OutputBuffer;
  /** Buffer for the decoded key and its selector, as long as the longest ones. */
  readonly keyBytes: Buffer;
  readonly connections: Set<IdleConnection>;
  /** Whether every response must close its connection, because the proxy is shutting down. */
  readonly closing: boolean;
  /** Coarse clock for the idle time of connections. */
  readonly ticks: number;
  persistence(close: boolean): Persistence;
  /** Hands a detached connection over to node:http, with the bytes received but not processed. */
  handOver(socket: Socket, received: Buffer): void;
  /** Rejects a detached connection on which no request has arrived in time. */
  onHeadersTimeout(socket: Socket): void;
}
