import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import type { ReadDirectives, ReadOptions } from '../../cache/read-through/read-through.ts';
import type { RequestSpan } from '../../cache/read-tracer.ts';
import { type DirectedOutcome, outcomeName } from '../../cache/read-through/read-outcome.ts';
import { Query, writeArgumentLength } from '../../redis/query.ts';
import { type HttpResponse, INTERNAL_ERROR } from '../response/http-response.ts';
import type { Conditions } from '../response/conditional.ts';
import { keyResponse } from '../keys/key-response.ts';
import { rejectionOf } from '../keys/wrong-type.ts';
import type { Problem } from '../response/problem.ts';
import type { RepresentationName, Resource } from '../resources/resource.ts';
import { percentDecode } from '../request/key-path.ts';
import { policyFor } from '../content/representations.ts';
import { selectorByte } from '../../cache/variants/variant-id.ts';
import { readDirectives } from '../request/request-cache-control.ts';
import { type AccessDenied, authenticate, authorizeKey } from '../keys/access-denied.ts';
import { responseHead } from '../response/response-head.ts';
import { MAX_RESPONSE_HEAD_BYTES, type ResponseHeadTemplates } from './response-head-templates.ts';
import type { Place } from '../../net/pipeline/ordered-replies.ts';
import { PipelinedConnection, type PipelineProtocol } from '../../net/pipeline/pipelined-connection.ts';
import { describeRequest } from './request-description.ts';
import type { FastPathContext, FastRepresentation, IdleConnection } from './fast-path-context.ts';

/** A response of up to this many bytes is copied to the output buffer; a longer one is written from its own memory. */
const MAX_COPIED_BYTES = 16 * 1024;
/** Longest part of a resource whose length is one byte of the selector. */
const MAX_ONE_BYTE_LENGTH = 127;
const NO_BODY = Buffer.alloc(0);
const NO_MEMORY: readonly ArrayBufferLike[] = [];

/** A rendered response. */
interface RenderedResponse {
  readonly head: string;
  readonly body: Buffer;
}

/** A request for the result of a query, which may have to be loaded. */
interface KeyRequest {
  readonly query: Query;
  readonly representation: FastRepresentation;
  readonly headOnly: boolean;
  readonly conditions: Conditions;
  readonly directives: ReadDirectives | undefined;
  /** Whether its outcome has been counted. */
  counted: boolean;
  /** Undefined if it is not sampled. */
  span: RequestSpan | undefined;
}

/**
 * Serves a connection that has received only plain key reads so far. All hits in a chunk are written at once. The first
 * request that is not a plain key read hands the connection over to node:http, after the responses to those before it.
 */
export class FastPathConnection implements PipelineProtocol<RenderedResponse>, IdleConnection, ReadClient {
  readonly #fastPath: FastPathContext;
  readonly #socket: Socket;
  readonly #connection: PipelinedConnection<RenderedResponse>;
  /** Whether the connection closes after the responses in flight. */
  #closing = false;
  /** Whether the next request needs node:http. */
  #leaving = false;
  /** Whether a request has been served on this connection. */
  #used = false;
  /** Value of `ticks` at the last activity. */
  #activeAt: number;

  constructor(fastPath: FastPathContext, socket: Socket, connectedAt: number) {
    this.#fastPath = fastPath;
    this.#socket = socket;
    this.#activeAt = connectedAt;
    this.#connection = new PipelinedConnection(socket, fastPath, this);
    fastPath.connections.add(this);
  }

  /** Whether the client has disconnected, so that nothing needs to be read for it. */
  get disconnected(): boolean {
    return this.#connection.isClosed;
  }

  /** Implements {@link ReadClient.mayBeClosed}. */
  get mayBeClosed(): boolean {
    return this.#connection.mayBeClosed;
  }

  /** Implements {@link ReadClient.dropWaitingReplies}. */
  dropWaitingReplies(): void {
    this.#connection.replies.dropWaiting(() => undefined);
  }

  /** Whether the connection must be handed over to node:http, once all responses have been sent. */
  get isBlocked(): boolean {
    return this.#leaving && this.#connection.replies.length > 0;
  }

  /** Always false: node:http receives a request that is incomplete. */
  get inRequest(): boolean {
    return false;
  }

  /** Destroys the connection unless a request is in flight. */
  destroyIfIdle(): void {
    if (this.#connection.isIdle) this.#connection.destroy();
  }

  /** Closes an idle connection whose first request, or next request, has not arrived within that many ticks. */
  expire(ticksToFirst: number, ticksToNext: number): void {
    if (!this.#connection.isIdle) return;
    const ticks = this.#fastPath.ticks - this.#activeAt;
    if (this.#used && ticks > ticksToNext) {
      this.#connection.destroy();
    } else if (!this.#used && ticks > ticksToFirst) {
      this.#detach();
      this.#fastPath.onHeadersTimeout(this.#socket);
    }
  }

  process(bytes: Buffer): number {
    const { head } = this.#fastPath;
    const connection = this.#connection;
    this.#activeAt = this.#fastPath.ticks;
    let at = 0;
    while (at < bytes.length && !this.#closing) {
      if (at > 0 && connection.isBlocked) return at;
      if (!head.scan(bytes, at) || !this.#serve(bytes)) {
        this.#leaving = true;
        if (this.isBlocked) return at;
        connection.flush();
        this.#handOver(Buffer.from(bytes.subarray(at)));
        return bytes.length;
      }
      at = head.end;
    }
    return at;
  }

  /** Writes a response; a short one is sent by the next flush. */
  write({ head, body }: RenderedResponse): void {
    const { output } = this.#fastPath;
    const bytes = head.length + body.length;
    if (!output.hasRoom(bytes)) this.#connection.flush();
    if (bytes > MAX_COPIED_BYTES) return this.#connection.flush([Buffer.from(head, 'latin1'), body]);
    output.end += output.bytes.write(head, output.end, 'latin1');
    output.bytes.set(body, output.end);
    output.end += body.length;
  }

  onSent(): void {
    this.#activeAt = this.#fastPath.ticks;
  }

  onClose(): void {
    this.#fastPath.connections.delete(this);
  }

  /** Hands the connection, and the bytes received but not processed, over to node:http. */
  #handOver(received: Buffer): void {
    const isHalfClosed = this.#detach();
    this.#fastPath.handOver(this.#socket, received);
    if (isHalfClosed) this.#socket.emit('end');
  }

  #detach(): boolean {
    this.#fastPath.connections.delete(this);
    return this.#connection.detach();
  }

  /** Serves the request in `fastPath.head`, or starts its load; returns false if node:http must serve it. */
  #serve(bytes: Buffer): boolean {
    const { access, head, keyBytes } = this.#fastPath;
    if (head.resource !== undefined) return this.#serveResource(bytes, head.resource);
    let { keyFrom: from, keyTo: to } = head;
    let source = bytes;
    if (head.encoded) {
      to = percentDecode(bytes, from, to, keyBytes);
      if (to === -1) return false;
      from = 0;
      source = keyBytes;
    }
    this.#used = true;
    // As #admit does, which is not called here because this is the most frequent request.
    const unauthorized = access.tokenRequired ? authenticate(access, head.authorization(bytes)) : undefined;
    const denied = unauthorized ?? authorizeKey(access, source, from, to);
    if (denied !== undefined) {
      this.#reject(denied);
    } else if (this.#fastPath.representationsDiffer) {
      this.#serveValue(bytes, source, from, to);
    } else if (head.isConditional || !this.#writeHit(source, from, to)) {
      this.#read(Query.get(Buffer.from(source.subarray(from, to))), this.#fastPath.value, bytes);
    }
    return true;
  }

  /** Serves a request for the value of the key, bytes [from, to) of `source`, whose representation depends on the request. */
  #serveValue(bytes: Buffer, source: Buffer, from: number, to: number): void {
    const { keyBytes } = this.#fastPath;
    if (source !== keyBytes) source.copy(keyBytes, 0, from, to);
    const end = to - from;
    const representation = this.#fastPath.representationFor('value', end, bytes);
    const written = this.#tryWrite(end, end, representation);
    if (written === 'written') return;
    this.#read(Query.get(Buffer.from(keyBytes.subarray(0, end))), representation, bytes, written === 'counted');
  }

  /** Serves a request for another resource than the value of a key, as {@link #serve} does. */
  #serveResource(bytes: Buffer, resource: Resource): boolean {
    const { head, keyBytes, resources } = this.#fastPath;
    const keyEnd = percentDecode(bytes, head.keyFrom, head.keyTo, keyBytes);
    if (keyEnd === -1) return false;
    if (head.partFrom !== 0) return this.#servePart(bytes, resource, keyEnd);
    const read =
      head.queryFrom === 0
        ? resources.whole(resource)
        : resources.withQuery(resource, bytes, head.queryFrom, head.queryTo);
    if (read === undefined) return false;
    const { selector } = read;
    if (!this.#admit(bytes, keyBytes, 0, keyEnd)) return true;
    keyBytes.set(selector, keyEnd);
    const representation = this.#representationOf(read.representation, keyEnd, bytes);
    const written = this.#tryWrite(keyEnd, keyEnd + selector.length, representation);
    if (written === 'written') return true;
    const key = Buffer.from(keyBytes.subarray(0, keyEnd));
    this.#read(Query.of(key, read.command, read.form, selector), representation, bytes, written === 'counted');
    return true;
  }

  /** Serves a request for a part of a resource, whose key is decoded in `keyBytes`, as {@link #serve} does. */
  #servePart(bytes: Buffer, resource: Resource, keyEnd: number): boolean {
    const { head, keyBytes, resources } = this.#fastPath;
    const part = resources.part(resource);
    if (part === undefined) return false;
    keyBytes.set(part.selectorHead, keyEnd);
    const lengthAt = keyEnd + part.selectorHead.length;
    let from = lengthAt + 1;
    let end = percentDecode(bytes, head.partFrom, head.partTo, keyBytes, from);
    if (end === -1) return false;
    if (!this.#admit(bytes, keyBytes, 0, keyEnd)) return true;
    const length = end - from;
    if (length > MAX_ONE_BYTE_LENGTH) {
      // A head is not long enough for a length of three bytes.
      keyBytes.copyWithin(++from, lengthAt + 1, end++);
    }
    writeArgumentLength(length, keyBytes, lengthAt);
    const representation = this.#representationOf(part.representation, keyEnd, bytes);
    const written = this.#tryWrite(keyEnd, end, representation);
    if (written === 'written') return true;
    const [key, name] = [keyBytes.subarray(0, keyEnd), keyBytes.subarray(from, end)].map((each) => Buffer.from(each));
    const { command, form, selector } = part.read(name);
    this.#read(Query.of(key, command, form, selector), representation, bytes, written === 'counted');
    return true;
  }

  /** Returns a representation of the key that is decoded in `keyBytes`. */
  #representationOf(name: RepresentationName, keyEnd: number, bytes: Buffer): FastRepresentation {
    const { representationsDiffer, representations } = this.#fastPath;
    return representationsDiffer ? this.#fastPath.representationFor(name, keyEnd, bytes) : representations[name];
  }

  /** Checks the token, and the key, bytes [from, to) of `source`; returns false if the request has been rejected. */
  #admit(bytes: Buffer, source: Buffer, from: number, to: number): boolean {
    const { access, head } = this.#fastPath;
    this.#used = true;
    const unauthorized = access.tokenRequired ? authenticate(access, head.authorization(bytes)) : undefined;
    const denied = unauthorized ?? authorizeKey(access, source, from, to);
    if (denied === undefined) return true;
    this.#reject(denied);
    return false;
  }

  #reject({ outcome, response }: AccessDenied): void {
    const { head, pending } = this.#fastPath;
    pending.countRead('http', outcome);
    this.#reply(response, head.headOnly);
  }

  /** Writes the response to a hit without allocating an object; returns false if that is not possible. */
  #writeHit(source: Buffer, from: number, to: number): boolean {
    const { cache, closing, head, hit, hitHeads, output, pending } = this.#fastPath;
    if (this.#connection.replies.length > 0 || closing || !cache.tryGetInto(source, from, to, hit)) return false;
    pending.hits++;
    if (!output.hasRoom(MAX_RESPONSE_HEAD_BYTES + hit.length)) this.#connection.flush();
    output.end = hitHeads.write(hit, output.bytes, output.end);
    if (!head.headOnly) {
      hit.bytes.copy(output.bytes, output.end, 0, hit.length);
      output.end += hit.length;
    }
    return true;
  }

  /**
   * Writes the response to a hit, of the variant or of the value itself: of the entry whose id is the first `end` bytes of
   * `keyBytes`. `counted`: the value was found, and counted as a hit, but a variant of it has to be made.
   *
   * @param keyEnd end of the key, where the selector begins.
   */
  #tryWrite(
    keyEnd: number,
    end: number,
    { hitHeads, variant }: FastRepresentation,
  ): 'written' | 'not-found' | 'counted' {
    if (this.#fastPath.head.isConditional) return 'not-found';
    const selectorLength = end - keyEnd;
    if (variant === undefined) return this.#writeHitOf(end, selectorLength, hitHeads) ? 'written' : 'not-found';
    const { cache, hit, keyBytes } = this.#fastPath;
    const { conversion } = variant;
    const first = selectorLength === 0 ? 0 : keyBytes[keyEnd];
    keyBytes[keyEnd] = selectorByte(first, conversion.variant);
    const isWritten = this.#writeHitOf(Math.max(end, keyEnd + 1), Math.max(selectorLength, 1), variant.hitHeads);
    keyBytes[keyEnd] = first;
    if (isWritten) return 'written';
    if (conversion.kind === 'decompress' || !this.#findHit(end, selectorLength)) return 'not-found';
    if (hit.length >= conversion.minBytes && !cache.variants.hasNoGain(hit.etag, conversion)) return 'counted';
    this.#writeFound(hitHeads);
    return 'written';
  }

  /**
   * As {@link #writeHit}, for the entry whose id is the first `end` bytes of `keyBytes`. One function for both would serve hits
   * of values 3 % more slowly.
   */
  #writeHitOf(end: number, selectorLength: number, heads: ResponseHeadTemplates): boolean {
    if (!this.#findHit(end, selectorLength)) return false;
    this.#writeFound(heads);
    return true;
  }

  /** Copies the entry whose id is the first `end` bytes of `keyBytes` into `hit`; returns false if that is not possible. */
  #findHit(end: number, selectorLength: number): boolean {
    const { cache, closing, hit, keyBytes } = this.#fastPath;
    if (this.#connection.replies.length > 0 || closing) return false;
    return cache.tryGetInto(keyBytes, 0, end, hit, selectorLength);
  }

  /** Writes the response with the entry in `hit`. */
  #writeFound(heads: ResponseHeadTemplates): void {
    const { head, hit, output, pending } = this.#fastPath;
    pending.hits++;
    if (!output.hasRoom(MAX_RESPONSE_HEAD_BYTES + hit.length)) this.#connection.flush();
    output.end = heads.write(hit, output.bytes, output.end);
    if (!head.headOnly) {
      hit.bytes.copy(output.bytes, output.end, 0, hit.length);
      output.end += hit.length;
    }
  }

  #read(query: Query, representation: FastRepresentation, bytes: Buffer, alreadyCounted = false): void {
    const { cache, head, pending } = this.#fastPath;
    const request: KeyRequest = {
      query,
      representation,
      headOnly: head.headOnly,
      conditions: head.conditions(bytes),
      directives:
        head.isConditional && representation.policy.honoursDirectives
          ? readDirectives(head.cacheControl(bytes), head.pragma(bytes))
          : undefined,
      counted: false,
      span: undefined,
    };
    const traced =
      cache.tracer === undefined
        ? undefined
        : {
            describeRequest: () => describeRequest(head, bytes),
            noteSpan: (span: RequestSpan) => void (request.span = span),
          };
    const read = this.#readFor(request, { alreadyCounted, client: this, ...traced });
    const { replies } = this.#connection;
    if (!(read instanceof Promise) && replies.length === 0) {
      pending.countRead('http', outcomeName(read));
      return this.#reply(keyResponse(read, request.conditions, policyFor(representation, read)), request.headOnly);
    }
    this.#connection.flush();
    const place = replies.reserve(query.id.length);
    if (this.#fastPath.closing) this.#end();
    this.#await(place, request, read);
  }

  #readFor(
    { query, representation: { variant }, directives }: KeyRequest,
    options: ReadOptions,
  ): DirectedOutcome | Promise<DirectedOutcome> {
    return this.#fastPath.cache.variants.read(query, variant?.conversion, directives, options);
  }

  /** Settles a request with the outcome of its read, now or once it is known. */
  #await(place: Place<RenderedResponse>, request: KeyRequest, read: DirectedOutcome | Promise<DirectedOutcome>): void {
    if (!(read instanceof Promise)) return this.#settleRead(place, request, read);
    this.#connection.whenRead(
      read,
      (outcome) => {
        if (!this.#writeStored(place, request, outcome)) this.#settleRead(place, request, outcome);
      },
      () => this.#settle(place, INTERNAL_ERROR, request.headOnly, 0, undefined),
    );
  }

  #readAgain(place: Place<RenderedResponse>, request: KeyRequest): void {
    this.#await(place, request, this.#readFor(request, { alreadyCounted: true, client: this }));
  }

  /** Sends a response, or queues it behind those in flight. */
  #reply(response: HttpResponse, headOnly: boolean): void {
    const { replies } = this.#connection;
    if (this.#fastPath.closing) this.#end();
    const rendered = this.#render(response, this.#closing, headOnly);
    if (replies.length > 0) replies.push(rendered, [rendered.body.buffer], rendered.body.length);
    else this.write(rendered);
  }

  /** Serves no further request, and closes the connection after the responses in flight. */
  #end(): void {
    this.#closing = true;
    this.#connection.end();
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

  #count(request: KeyRequest, outcome: DirectedOutcome): void {
    if (!request.counted) this.#fastPath.pending.countRead('http', outcomeName(outcome));
    request.counted = true;
  }

  /** Renders the response to a request whose read has ended, after asking Redis for the type of the key if it is another. */
  #settleRead(place: Place<RenderedResponse>, request: KeyRequest, outcome: DirectedOutcome): void {
    this.#count(request, outcome);
    const rejection = rejectionOf(this.#fastPath.cache, request.query, outcome, request.span);
    if (!(rejection instanceof Promise)) return this.#settleOutcome(place, request, outcome, rejection);
    this.#connection.whenRead(
      rejection,
      (problem) => this.#settleOutcome(place, request, outcome, problem),
      () => this.#settle(place, INTERNAL_ERROR, request.headOnly, 0, undefined),
    );
  }

  #settleOutcome(
    place: Place<RenderedResponse>,
    request: KeyRequest,
    outcome: DirectedOutcome,
    rejection: Problem | undefined,
  ): void {
    const response = keyResponse(outcome, request.conditions, policyFor(request.representation, outcome), rejection);
    const loadedBytes = 'value' in outcome ? outcome.value.length : 0;
    this.#settle(place, response, request.headOnly, loadedBytes, () => this.#readAgain(place, request));
  }

  /** Writes a value that was loaded and stored from a template, as for a hit; returns false if that is not possible. */
  #writeStored(place: Place<RenderedResponse>, request: KeyRequest, outcome: DirectedOutcome): boolean {
    const { closing, hit, output } = this.#fastPath;
    const connection = this.#connection;
    const { ifNoneMatch, range } = request.conditions;
    if (ifNoneMatch !== undefined || range !== undefined) return false;
    if (outcome.kind !== 'value' || outcome.origin !== 'stored' || outcome.forward !== 'uri-miss') return false;
    if (outcome.value.length > hit.bytes.length || connection.isBackpressured) return false;
    if (closing || this.#closing || connection.isClosed || !connection.replies.isOnly(place)) return false;
    const { value, etag, freshness } = outcome;
    this.#count(request, outcome);
    connection.replies.removeOnly(value.length);
    [hit.etag[0], hit.etag[1], hit.etag[2]] = etag;
    hit.ageMs = freshness.ageMs;
    hit.lifetimeMs = freshness.lifetimeMs;
    hit.length = value.length;
    const { representation } = request;
    const { storedHeads } = outcome.isVariant === true ? (representation.variant ?? representation) : representation;
    output.end = storedHeads.write(hit, output.bytes, output.end);
    if (!request.headOnly) {
      output.bytes.set(value, output.end);
      output.end += value.length;
    }
    connection.resume();
    return true;
  }

  /** Settles the place of a response that had to wait. */
  #settle(
    place: Place<RenderedResponse>,
    response: HttpResponse,
    headOnly: boolean,
    loadedBytes: number,
    readAgain: (() => void) | undefined,
  ): void {
    const connection = this.#connection;
    if (connection.isClosed) return;
    const isLast = connection.replies.isLast(place);
    if (this.#fastPath.closing && !connection.hasInput && isLast) this.#end();
    const rendered = this.#render(response, this.#closing && isLast, headOnly);
    const { body } = rendered;
    const memory = body.length === 0 ? NO_MEMORY : [body.buffer];
    connection.settle(place, { reply: rendered, memory, bytes: body.length, loadedBytes, readAgain });
  }
}
