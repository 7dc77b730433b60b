import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Access } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { ReadDirectives } from '../../cache/read-through/read-through.ts';
import { type DirectedOutcome, outcomeName } from '../../cache/read-through/read-outcome.ts';
import type { PendingReads } from '../../cache/read-through/pending-reads.ts';
import { type HttpResponse, INTERNAL_ERROR } from '../response/http-response.ts';
import { type KeyResponsePolicy, keyResponse } from '../keys/key-response.ts';
import { percentDecode } from '../keys/key-path.ts';
import { readDirectives } from '../keys/request-cache-control.ts';
import { authenticate, authorizeKey } from '../keys/access-denied.ts';
import { type HttpDate, type Persistence, responseHead } from '../response/response-head.ts';
import { type ResponseHeadTemplates, MAX_RESPONSE_HEAD_BYTES } from './response-head-templates.ts';
import { isFault } from '../../net/socket-fault.ts';
import { SocketWriter } from '../../net/socket-writer.ts';
import type { OutputBuffer } from '../../net/output-buffer.ts';
import { SharedReadBuffer } from '../../net/shared-read-buffer.ts';
import { OrderedReplies, type Place } from '../../net/ordered-replies.ts';
import type { BufferAccounting } from '../../net/buffer-accounting.ts';
import type { RequestHead } from './request-head.ts';

/** A response of up to this many bytes is copied to the output buffer; a longer one is written from its own memory. */
const MAX_COPIED_BYTES = 16 * 1024;
const NO_BODY = Buffer.alloc(0);
const NO_MEMORY: readonly ArrayBufferLike[] = [];

/** A rendered response. */
interface RenderedResponse {
  readonly head: string;
  readonly body: Buffer;
}

/** A request for a key whose value may have to be loaded. */
interface KeyRequest {
  readonly key: Buffer;
  readonly headOnly: boolean;
  readonly ifNoneMatch: string | undefined;
  readonly directives: ReadDirectives | undefined;
  /** Whether its outcome has been counted. */
  counted: boolean;
}

/**
 * Per-thread context shared by all connections on the fast path. A connection uses the shared buffers for one call at a
 * time, and leaves nothing in them.
 */
export interface FastPathContext {
  readonly access: Access;
  readonly cache: CacheService;
  readonly memory: BufferAccounting;
  /** Counts of reads, published before their responses are written, and committed once they are. */
  readonly pending: PendingReads;
  readonly policy: KeyResponsePolicy;
  /** Names and values of headers added to every response. */
  readonly headers: readonly string[];
  readonly date: HttpDate;
  /** Heads of responses to hits. */
  readonly hitHeads: ResponseHeadTemplates;
  /** Heads of responses to misses that were loaded and stored. */
  readonly storedHeads: ResponseHeadTemplates;
  readonly head: RequestHead;
  readonly hit: HitBuffer;
  readonly output: OutputBuffer;
  readonly reads: SharedReadBuffer;
  /** Buffer for the decoded key, as long as the longest one. */
  readonly keyBytes: Buffer;
  readonly connections: Set<FastPathConnection>;
  /** Milliseconds after which the connection of a client that does not read its responses is closed. */
  readonly stallTimeoutMs: number;
  /** Whether every response must close its connection, because the proxy is shutting down. */
  readonly closing: boolean;
  /** Coarse clock for the idle time of connections. */
  readonly ticks: number;
  persistence(close: boolean): Persistence;
  /** Hands a detached connection over to node:http, with the bytes received but not processed. */
  handOver(socket: Socket, received: Buffer): void;
  /** Rejects a detached connection on which no request has arrived in time. */
  onHeadersTimeout(socket: Socket): void;
  /** Logs an unexpected error. */
  report(bug: unknown): void;
}

/**
 * Serves a connection that has received only plain key reads so far, with responses in request order. All hits in a chunk
 * are written at once. Responses behind a miss are queued while the requests after it are processed. The first request that
 * is not a plain key read hands the connection over to node:http.
 */
export class FastPathConnection {
  readonly #fastPath: FastPathContext;
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  readonly #replies: OrderedReplies<RenderedResponse>;
  /** Received bytes that wait for the client to read, or for responses in flight. */
  #input: Buffer | undefined;
  /** Whether the client has closed its sending side. */
  #halfClosed = false;
  /** Whether the connection closes after the responses in flight. */
  #closing = false;
  #paused = false;
  /** Whether a request has been served on this connection. */
  #used = false;
  /** Value of `ticks` at the last activity. */
  #activeAt: number;
  readonly #onRead = (bytes: Buffer): void => {
    try {
      this.#receive(bytes);
      this.#fastPath.pending.commit();
    } catch (bug) {
      this.#fail(bug);
    }
  };
  readonly #listeners = {
    drain: () => this.#guard(() => this.#continue()),
    end: () => this.#onEnd(),
    close: () => this.#onClose(),
    error: (error: Error) => this.#onError(error),
    timeout: () => this.#onTimeout(),
  };

  constructor(fastPath: FastPathContext, socket: Socket) {
    this.#fastPath = fastPath;
    this.#socket = socket;
    this.#writer = new SocketWriter(socket, fastPath.memory, this.#listeners.drain);
    this.#replies = new OrderedReplies(fastPath.memory, this.#writer);
    this.#activeAt = fastPath.ticks;
    fastPath.connections.add(this);
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
    fastPath.reads.attach(socket, this.#onRead);
  }

  /** Whether the client has disconnected, so that nothing needs to be read for it. */
  get disconnected(): boolean {
    return this.#socket.destroyed;
  }

  /** Destroys the connection unless a request is in flight. */
  destroyIfIdle(): void {
    if (this.#idle) this.#socket.destroy();
  }

  /** Closes an idle connection whose first request, or next request, has not arrived within that many ticks. */
  expire(ticksToFirst: number, ticksToNext: number): void {
    if (!this.#idle) return;
    const ticks = this.#fastPath.ticks - this.#activeAt;
    if (this.#used && ticks > ticksToNext) {
      this.#socket.destroy();
    } else if (!this.#used && ticks > ticksToFirst) {
      this.#detach();
      this.#fastPath.onHeadersTimeout(this.#socket);
    }
  }

  /** Whether no request is waiting or in flight, and every response has been sent. */
  get #idle(): boolean {
    return this.#replies.length === 0 && this.#input === undefined && this.#writer.length === 0;
  }

  /** Hands the connection, and the bytes received but not processed, over to node:http. */
  #handOver(received: Buffer): void {
    this.#detach();
    this.#fastPath.handOver(this.#socket, received);
    if (this.#halfClosed) this.#socket.emit('end');
  }

  #onClose(): void {
    this.#fastPath.connections.delete(this);
    this.#replies.clear();
  }

  #detach(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
    SharedReadBuffer.detach(this.#socket, this.#onRead);
    this.#fastPath.connections.delete(this);
  }

  /** Runs a step. An unexpected error closes this connection alone, and discards its output from the shared buffer. */
  #guard(step: () => void): void {
    try {
      step();
      this.#fastPath.pending.commit();
    } catch (bug) {
      this.#fail(bug);
    }
  }

  #fail(bug: unknown): void {
    this.#fastPath.report(bug);
    this.#fastPath.pending.discard(this.#replies.length);
    this.#fastPath.output.clear();
    this.#socket.destroy();
  }

  #onError(error: Error): void {
    if (isFault(error)) this.#fail(error);
    else this.#socket.destroy();
  }

  /** @param chunk is overwritten by the next read. */
  #receive(chunk: Buffer): void {
    this.#activeAt = this.#fastPath.ticks;
    if (this.#closing) return;
    if (this.#input === undefined) this.#process(chunk, false);
    else this.#input = Buffer.concat([this.#input, chunk]);
  }

  #onEnd(): void {
    this.#halfClosed = true;
    this.#closeIfDone();
  }

  /**
   * Processes the requests in `bytes` until one of them has to wait.
   *
   * @param stable whether the bytes are not overwritten by the next read.
   */
  #process(bytes: Buffer, stable: boolean): void {
    const { head } = this.#fastPath;
    let at = 0;
    while (at < bytes.length && !this.#closing) {
      if ((at > 0 || this.#replies.length > 0) && this.#isBackpressured())
        return this.#defer(bytes.subarray(at), stable);
      if (!head.scan(bytes, at) || !this.#serve(bytes)) {
        this.#flush();
        if (this.#replies.length > 0) return this.#defer(bytes.subarray(at), stable);
        return this.#handOver(Buffer.from(bytes.subarray(at)));
      }
      at = head.end;
    }
    this.#flush();
    this.#watchStall();
  }

  /** Serves the request in `fastPath.head`, or starts its load; returns false if node:http must serve it. */
  #serve(bytes: Buffer): boolean {
    const { access, head, keyBytes } = this.#fastPath;
    let { keyFrom: from, keyTo: to } = head;
    let source = bytes;
    if (head.encoded) {
      to = percentDecode(bytes, from, to, keyBytes);
      if (to === -1) return false;
      from = 0;
      source = keyBytes;
    }
    this.#used = true;
    const unauthorized = access.tokenRequired ? authenticate(access, this.#authorization(bytes)) : undefined;
    const denied = unauthorized ?? authorizeKey(access, source, from, to);
    if (denied !== undefined) {
      this.#fastPath.pending.countRead('http', denied.outcome);
      this.#reply(denied.response, head.headOnly);
    } else if (head.isConditional || !this.#writeHit(source, from, to)) {
      this.#read(Buffer.from(source.subarray(from, to)), bytes);
    }
    return true;
  }

  /** Writes the response to a hit without allocating an object; returns false if that is not possible. */
  #writeHit(source: Buffer, from: number, to: number): boolean {
    const { cache, closing, head, hit, hitHeads, output, pending } = this.#fastPath;
    if (this.#replies.length > 0 || closing || !cache.tryGetInto(source, from, to, hit)) return false;
    pending.hits++;
    if (!output.hasRoom(MAX_RESPONSE_HEAD_BYTES + hit.length)) this.#flush();
    output.end = hitHeads.write(hit, output.bytes, output.end);
    if (!head.headOnly) {
      hit.bytes.copy(output.bytes, output.end, 0, hit.length);
      output.end += hit.length;
    }
    return true;
  }

  #read(key: Buffer, bytes: Buffer): void {
    const { cache, head, pending, policy } = this.#fastPath;
    const request: KeyRequest = {
      key,
      headOnly: head.headOnly,
      ifNoneMatch: textOf(bytes, head.ifNoneMatchFrom, head.ifNoneMatchTo),
      directives: head.isConditional ? this.#directives(bytes) : undefined,
      counted: false,
    };
    const read = cache.read(key, request.directives, { client: this });
    if (!(read instanceof Promise) && this.#replies.length === 0) {
      pending.countRead('http', outcomeName(read));
      return this.#reply(keyResponse(read, request.ifNoneMatch, policy), request.headOnly);
    }
    this.#flush();
    const place = this.#replies.reserve(key.length);
    if (this.#fastPath.closing) this.#closing = true;
    this.#await(place, request, read);
  }

  /** Settles a request with the outcome of its read, now or once it is known. */
  #await(place: Place<RenderedResponse>, request: KeyRequest, read: DirectedOutcome | Promise<DirectedOutcome>): void {
    if (!(read instanceof Promise)) return this.#settleRead(place, request, read);
    read.then(
      (outcome) => {
        this.#guard(() => {
          if (this.#writeStored(place, request, outcome)) return;
          this.#settleRead(place, request, outcome);
          this.#continue();
        });
      },
      (bug: unknown) => {
        this.#guard(() => {
          this.#settleFailure(place, bug, request.headOnly);
          this.#continue();
        });
      },
    );
  }

  #readAgain(place: Place<RenderedResponse>, request: KeyRequest): void {
    this.#await(
      place,
      request,
      this.#fastPath.cache.read(request.key, request.directives, { alreadyCounted: true, client: this }),
    );
  }

  /** Sends a response, or queues it behind those in flight. */
  #reply(response: HttpResponse, headOnly: boolean): void {
    if (this.#fastPath.closing) this.#closing = true;
    const rendered = this.#render(response, this.#closing, headOnly);
    if (this.#replies.length > 0) {
      this.#replies.push(rendered, [rendered.body.buffer], rendered.body.length);
      return;
    }
    this.#write(rendered);
    if (!this.#closing) return;
    this.#flush();
    this.#closeIfDone();
  }

  #render(response: HttpResponse, close: boolean, headOnly: boolean): RenderedResponse {
    const head = responseHead(
      response,
      this.#fastPath.date.now,
      this.#fastPath.persistence(close),
      this.#fastPath.headers,
    );
    return { head, body: headOnly ? NO_BODY : (response.body ?? NO_BODY) };
  }

  /** Writes a response; a short one is sent by the next flush. */
  #write({ head, body }: RenderedResponse): void {
    const { output } = this.#fastPath;
    const bytes = head.length + body.length;
    if (!output.hasRoom(bytes)) this.#flush();
    if (bytes <= MAX_COPIED_BYTES) {
      output.end += output.bytes.write(head, output.end, 'latin1');
      output.bytes.set(body, output.end);
      output.end += body.length;
      return;
    }
    this.#flush();
    this.#writer.writeAll([Buffer.from(head, 'latin1'), body]);
  }

  /** Sends the collected responses. Their reads are counted before a client can have a response. */
  #flush(): void {
    this.#fastPath.pending.publish();
    this.#fastPath.output.flush(this.#writer);
  }

  #count(request: KeyRequest, outcome: DirectedOutcome): void {
    if (!request.counted) this.#fastPath.pending.countRead('http', outcomeName(outcome));
    request.counted = true;
  }

  /** Renders the response to a request whose read has ended. */
  #settleRead(place: Place<RenderedResponse>, request: KeyRequest, outcome: DirectedOutcome): void {
    this.#count(request, outcome);
    const response = keyResponse(outcome, request.ifNoneMatch, this.#fastPath.policy);
    const loadedBytes = 'value' in outcome ? outcome.value.length : 0;
    this.#settle(place, response, request.headOnly, loadedBytes, () => this.#readAgain(place, request));
  }

  /** Writes a value that was loaded and stored from a template, as for a hit; returns false if that is not possible. */
  #writeStored(place: Place<RenderedResponse>, request: KeyRequest, outcome: DirectedOutcome): boolean {
    const { closing, hit, output, storedHeads } = this.#fastPath;
    if (request.ifNoneMatch !== undefined) return false;
    if (outcome.kind !== 'value' || outcome.origin !== 'stored' || outcome.forward !== 'uri-miss') return false;
    if (outcome.value.length > hit.bytes.length || this.#writer.isFull) return false;
    if (closing || this.#closing || this.#socket.destroyed || !this.#replies.isOnly(place)) return false;
    const { value, etag, freshness } = outcome;
    this.#count(request, outcome);
    this.#replies.removeOnly(value.length);
    this.#activeAt = this.#fastPath.ticks;
    [hit.etag[0], hit.etag[1], hit.etag[2]] = etag;
    hit.ageMs = freshness.ageMs;
    hit.lifetimeMs = freshness.lifetimeMs;
    hit.length = value.length;
    output.end = storedHeads.write(hit, output.bytes, output.end);
    if (!request.headOnly) {
      output.bytes.set(value, output.end);
      output.end += value.length;
    }
    this.#flush();
    this.#watchStall();
    this.#resume();
    this.#closeIfDone();
    return true;
  }

  /** Responds with 500 to a request whose read has thrown. */
  #settleFailure(place: Place<RenderedResponse>, bug: unknown, headOnly: boolean): void {
    this.#fastPath.report(bug);
    this.#fastPath.pending.countFailure();
    this.#settle(place, INTERNAL_ERROR, headOnly, 0, undefined);
  }

  /** Settles the place of a response that had to wait. */
  #settle(
    place: Place<RenderedResponse>,
    response: HttpResponse,
    headOnly: boolean,
    loadedBytes: number,
    readAgain: (() => void) | undefined,
  ): void {
    if (this.#socket.destroyed) return;
    this.#activeAt = this.#fastPath.ticks;
    if (this.#fastPath.closing && this.#input === undefined && this.#replies.isLast(place)) this.#closing = true;
    const rendered = this.#render(response, this.#closing && this.#replies.isLast(place), headOnly);
    const { body } = rendered;
    const memory = body.length === 0 ? NO_MEMORY : [body.buffer];
    this.#replies.settle(place, rendered, memory, body.length, loadedBytes, readAgain);
  }

  /** Sends the responses that are ready, and resumes the input that waited for them. */
  #continue(): void {
    if (this.#socket.destroyed) return;
    this.#replies.send((rendered) => this.#write(rendered));
    this.#flush();
    this.#watchStall();
    this.#resume();
    this.#closeIfDone();
  }

  #authorization(bytes: Buffer): string | undefined {
    return textOf(bytes, this.#fastPath.head.authorizationFrom, this.#fastPath.head.authorizationTo);
  }

  #directives(bytes: Buffer): ReadDirectives | undefined {
    const { cacheControlFrom, cacheControlTo, pragmaFrom, pragmaTo } = this.#fastPath.head;
    return readDirectives(textOf(bytes, cacheControlFrom, cacheControlTo), textOf(bytes, pragmaFrom, pragmaTo));
  }

  /** Whether no further request may be processed until responses have been sent. */
  #isBackpressured(): boolean {
    return this.#replies.isFull || this.#writer.isFull;
  }

  /** Keeps input that cannot be processed now, and stops reading. */
  #defer(bytes: Buffer, stable: boolean): void {
    this.#flush();
    this.#input = stable ? bytes : Buffer.from(bytes);
    this.#watchStall();
    this.#pause();
  }

  #pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  /** Stops reading from a client that does not read its responses, and starts its time-out. */
  #watchStall(): void {
    if (this.#writer.length === 0) return;
    this.#socket.setTimeout(this.#fastPath.stallTimeoutMs);
    if (this.#writer.isFull) this.#pause();
  }

  #onTimeout(): void {
    if (this.#writer.length === 0) this.#socket.setTimeout(0);
    else if (this.#writer.hasMoved()) this.#socket.setTimeout(this.#fastPath.stallTimeoutMs);
    else this.#socket.destroy();
  }

  /** Processes the deferred input, and reads on. */
  #resume(): void {
    if (this.#closing || this.#socket.destroyed || this.#isBackpressured()) return;
    if (!this.#paused) return;
    this.#paused = false;
    this.#activeAt = this.#fastPath.ticks;
    const input = this.#input;
    this.#input = undefined;
    if (input !== undefined) this.#process(input, true);
    // Not if the input has been deferred again, or the connection handed over.
    if (!this.#paused && this.#fastPath.connections.has(this)) this.#socket.resume();
    this.#closeIfDone();
  }

  /** Closes a closing or half-closed connection once every request has been served. */
  #closeIfDone(): void {
    if (this.#replies.length > 0 || this.#input !== undefined) return;
    if (this.#closing) this.#socket.destroySoon();
    else if (this.#halfClosed) this.#socket.end();
  }
}

/** Returns the value of a header; undefined if it is absent, which `from` = 0 stands for. */
function textOf(bytes: Buffer, from: number, to: number): string | undefined {
  return from === 0 ? undefined : bytes.toString('latin1', from, to);
}
