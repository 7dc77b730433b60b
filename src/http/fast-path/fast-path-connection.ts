import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Access } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import type { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { ReadDirectives } from '../../cache/read-through/read-through.ts';
import { type DirectedOutcome, outcomeName } from '../../cache/read-through/read-outcome.ts';
import type { PendingReads } from '../../cache/read-through/pending-reads.ts';
import { type HttpResponse, INTERNAL_ERROR } from '../response/http-response.ts';
import { type KeyAnswerPolicy, keyResponse } from '../keys/key-response.ts';
import { percentDecode } from '../keys/key-path.ts';
import { readDirectives } from '../keys/request-cache-control.ts';
import { authenticate, authorizeKey } from '../keys/access-denied.ts';
import { type HttpDate, type Persistence, messageHead } from '../response/response-head.ts';
import { type ResponseHeadTemplates, MAX_RESPONSE_HEAD_BYTES } from './response-head-templates.ts';
import { isFault } from '../../net/socket-fault.ts';
import { SocketWriter } from '../../net/socket-writer.ts';
import type { OutputBuffer } from '../../net/output-buffer.ts';
import { SharedReadBuffer } from '../../net/shared-read-buffer.ts';
import { OrderedReplies, type Place } from '../../net/ordered-replies.ts';
import type { HeldMemory } from '../../net/held-memory.ts';
import type { RequestHead } from './request-head.ts';

/** Bytes up to which head and body are joined rather than written one after the other. */
const JOINED_BYTES = 16 * 1024;
const NO_BODY = Buffer.alloc(0);
const NO_MEMORY: readonly ArrayBufferLike[] = [];

/** A response that has been rendered. */
interface Message {
  readonly head: string;
  readonly body: Buffer;
}

/** A request for a key of which a value may have to be loaded. */
interface KeyRequest {
  readonly key: Buffer;
  readonly headOnly: boolean;
  readonly ifNoneMatch: string | undefined;
  readonly directives: ReadDirectives | undefined;
  /** Whether what came of it has been counted. */
  counted: boolean;
}

/** What the connections of a thread's fast path have in common; the memory is each one's while it is its turn. */
export interface FastPathContext {
  readonly access: Access;
  readonly cache: CacheService;
  readonly memory: HeldMemory;
  /** Reads whose responses are being written. */
  readonly pending: PendingReads;
  readonly policy: KeyAnswerPolicy;
  /** Names and values that every answer has beside its own. */
  readonly headers: readonly string[];
  readonly date: HttpDate;
  /** For hits, and for misses that have been stored. */
  readonly messages: ResponseHeadTemplates;
  readonly storedMessages: ResponseHeadTemplates;
  readonly head: RequestHead;
  readonly hit: HitBuffer;
  readonly output: OutputBuffer;
  readonly reads: SharedReadBuffer;
  /** Room for the longest key, decoded. */
  readonly keyBytes: Buffer;
  readonly connections: Set<FastPathConnection>;
  /** Milliseconds after which a client is cut off that does not read its answers. */
  readonly stallTimeoutMs: number;
  /** Whether every answer is to be the last one of its connection. */
  readonly closing: boolean;
  /** Counts time: as often as is good enough to know for how long a connection has been idle. */
  readonly ticks: number;
  persistence(close: boolean): Persistence;
  /** Gives a connection, and what has arrived on it, to node:http. */
  leave(socket: Socket, rest: Buffer): void;
  /** Ends a connection, which has left, on which no request has come in time. */
  giveUp(socket: Socket): void;
  /** Logs a bug. */
  report(bug: unknown): void;
}

/**
 * A connection on which nothing but plain requests for keys has come so far. They are answered in their order: hits at
 * once, all hits of a chunk in one write; behind a miss, answers wait for their turn while the requests after it are
 * worked on already. With the first request that is not plain the connection leaves the fast path.
 */
export class FastPathConnection {
  readonly #fastPath: FastPathContext;
  readonly #socket: Socket;
  readonly #outlet: SocketWriter;
  readonly #replies: OrderedReplies<Message>;
  /** What has arrived and must wait: for the client to read, or for answers that are under way. */
  #held: Buffer | undefined;
  /** Whether the client sends no more. */
  #ended = false;
  /** Whether the connection ends with the answers that are under way. */
  #closing = false;
  #paused = false;
  /** Whether a request was answered here. */
  #used = false;
  /** The fast path's ticks when something was last done here. */
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
    drain: () => this.#guard(() => this.#goOn()),
    end: () => this.#receiveEnd(),
    close: () => this.#closed(),
    error: (error: Error) => this.#onError(error),
    timeout: () => this.#timeOut(),
  };

  constructor(fastPath: FastPathContext, socket: Socket) {
    this.#fastPath = fastPath;
    this.#socket = socket;
    this.#outlet = new SocketWriter(socket, fastPath.memory, this.#listeners.drain);
    this.#replies = new OrderedReplies(fastPath.memory, this.#outlet);
    this.#activeAt = fastPath.ticks;
    fastPath.connections.add(this);
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
    fastPath.reads.attach(socket, this.#onRead);
  }

  /** Whether the client is gone, and nobody takes what is read for it. */
  get gone(): boolean {
    return this.#socket.destroyed;
  }

  /** Ends the connection if nothing is under way on it. */
  cutIfIdle(): void {
    if (this.#idle) this.#socket.destroy();
  }

  /** Ends the connection if no request has come on it for so many ticks: the first one, or another one. */
  expire(ticksToFirst: number, ticksToNext: number): void {
    if (!this.#idle) return;
    const ticks = this.#fastPath.ticks - this.#activeAt;
    if (this.#used && ticks > ticksToNext) {
      this.#socket.destroy();
    } else if (!this.#used && ticks > ticksToFirst) {
      this.#detach();
      this.#fastPath.giveUp(this.#socket);
    }
  }

  /** Whether nothing has been asked that is not answered yet. */
  get #idle(): boolean {
    return this.#replies.length === 0 && this.#held === undefined && this.#outlet.length === 0;
  }

  /** Gives the connection, and what has arrived on it, to node:http. */
  #leave(rest: Buffer): void {
    this.#detach();
    this.#fastPath.leave(this.#socket, rest);
    if (this.#ended) this.#socket.emit('end');
  }

  #closed(): void {
    this.#fastPath.connections.delete(this);
    this.#replies.clear();
  }

  #detach(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
    SharedReadBuffer.detach(this.#socket, this.#onRead);
    this.#fastPath.connections.delete(this);
  }

  /** Ends the connection, and it alone, when there is a bug: nothing of its answers may be left for another one. */
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

  /** @param chunk is memory that is used again. */
  #receive(chunk: Buffer): void {
    this.#activeAt = this.#fastPath.ticks;
    if (this.#closing) return;
    if (this.#held === undefined) this.#work(chunk, false);
    else this.#held = Buffer.concat([this.#held, chunk]);
  }

  #receiveEnd(): void {
    this.#ended = true;
    this.#endIfDone();
  }

  /**
   * Answers the requests in `bytes` as far as that can be done now.
   *
   * @param own whether the bytes stay as they are.
   */
  #work(bytes: Buffer, own: boolean): void {
    const { head, output } = this.#fastPath;
    let at = 0;
    while (at < bytes.length && !this.#closing) {
      if ((at > 0 || this.#replies.length > 0) && this.#mustWait()) return this.#hold(bytes.subarray(at), own);
      if (!head.scan(bytes, at) || !this.#answer(bytes)) {
        output.flush(this.#outlet);
        if (this.#replies.length > 0) return this.#hold(bytes.subarray(at), own);
        return this.#leave(Buffer.from(bytes.subarray(at)));
      }
      at = head.end;
    }
    output.flush(this.#outlet);
    this.#watchWrites();
  }

  /** Answers the request in `fastPath.head`, or sees to it; false when it is not for the fast path. */
  #answer(bytes: Buffer): boolean {
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
    const refused = access.tokenRequired ? authenticate(access, this.#authorization(bytes)) : undefined;
    const refusal = refused ?? authorizeKey(access, source, from, to);
    if (refusal !== undefined) {
      this.#fastPath.pending.countRead('http', refusal.outcome);
      this.#reply(refusal.answer, head.headOnly);
    } else if (head.isConditional || !this.#answerHit(source, from, to)) {
      this.#read(Buffer.from(source.subarray(from, to)), bytes);
    }
    return true;
  }

  /** Answers from the cache without making an object for it; false when that cannot be done. */
  #answerHit(source: Buffer, from: number, to: number): boolean {
    const { cache, closing, head, hit, messages, output, pending } = this.#fastPath;
    if (this.#replies.length > 0 || closing || !cache.tryGetInto(source, from, to, hit)) return false;
    pending.hits++;
    if (!output.hasRoom(MAX_RESPONSE_HEAD_BYTES + hit.length)) output.flush(this.#outlet);
    output.end = messages.write(hit, output.bytes, output.end);
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
    const read = cache.read(key, request.directives, { reader: this });
    if (!(read instanceof Promise) && this.#replies.length === 0) {
      pending.countRead('http', outcomeName(read));
      return this.#reply(keyResponse(read, request.ifNoneMatch, policy), request.headOnly);
    }
    this.#fastPath.output.flush(this.#outlet);
    const place = this.#replies.reserve(key.length);
    if (this.#fastPath.closing) this.#closing = true;
    this.#take(place, request, read);
  }

  /** Gives a request the outcome of its read, now or when it is known. */
  #take(place: Place<Message>, request: KeyRequest, read: DirectedOutcome | Promise<DirectedOutcome>): void {
    if (!(read instanceof Promise)) return this.#settleRead(place, request, read);
    read.then(
      (outcome) => {
        this.#guard(() => {
          if (this.#answerStored(place, request, outcome)) return;
          this.#settleRead(place, request, outcome);
          this.#goOn();
        });
      },
      (bug: unknown) => {
        this.#guard(() => {
          this.#settleFailure(place, bug, request.headOnly);
          this.#goOn();
        });
      },
    );
  }

  #readAgain(place: Place<Message>, request: KeyRequest): void {
    this.#take(
      place,
      request,
      this.#fastPath.cache.read(request.key, request.directives, { again: true, reader: this }),
    );
  }

  /** Sends an answer that there is already, or puts it behind those that are still to come. */
  #reply(answer: HttpResponse, headOnly: boolean): void {
    if (this.#fastPath.closing) this.#closing = true;
    const message = this.#message(answer, this.#closing, headOnly);
    if (this.#replies.length > 0) {
      this.#replies.push(message, [message.body.buffer], message.body.length);
      return;
    }
    this.#write(message);
    if (!this.#closing) return;
    this.#fastPath.output.flush(this.#outlet);
    this.#endIfDone();
  }

  #message(answer: HttpResponse, close: boolean, headOnly: boolean): Message {
    const head = messageHead(
      answer,
      this.#fastPath.date.now,
      this.#fastPath.persistence(close),
      this.#fastPath.headers,
    );
    return { head, body: headOnly ? NO_BODY : (answer.body ?? NO_BODY) };
  }

  /** Writes a response; a small one leaves with the next flush. */
  #write({ head, body }: Message): void {
    const { output } = this.#fastPath;
    const bytes = head.length + body.length;
    if (!output.hasRoom(bytes)) output.flush(this.#outlet);
    if (bytes <= JOINED_BYTES) {
      output.end += output.bytes.write(head, output.end, 'latin1');
      output.bytes.set(body, output.end);
      output.end += body.length;
      return;
    }
    output.flush(this.#outlet);
    this.#outlet.writeAll([Buffer.from(head, 'latin1'), body]);
  }

  #count(request: KeyRequest, outcome: DirectedOutcome): void {
    if (!request.counted) this.#fastPath.pending.countRead('http', outcomeName(outcome));
    request.counted = true;
  }

  /** Has what was read for a request. */
  #settleRead(place: Place<Message>, request: KeyRequest, outcome: DirectedOutcome): void {
    this.#count(request, outcome);
    const answer = keyResponse(outcome, request.ifNoneMatch, this.#fastPath.policy);
    const loadedBytes = 'value' in outcome ? outcome.value.length : 0;
    this.#settle(place, answer, request.headOnly, loadedBytes, () => this.#readAgain(place, request));
  }

  /** Answers with what was loaded and stored in the way of hits; false when that cannot be done. */
  #answerStored(place: Place<Message>, request: KeyRequest, outcome: DirectedOutcome): boolean {
    const { closing, hit, output, storedMessages } = this.#fastPath;
    if (request.ifNoneMatch !== undefined) return false;
    if (outcome.kind !== 'value' || outcome.origin !== 'stored' || outcome.forward !== 'uri-miss') return false;
    if (outcome.value.length > hit.bytes.length || this.#outlet.isFull) return false;
    if (closing || this.#closing || this.#socket.destroyed || !this.#replies.isOnly(place)) return false;
    const { value, etag, freshness } = outcome;
    this.#count(request, outcome);
    this.#replies.takeOnly(value.length);
    this.#activeAt = this.#fastPath.ticks;
    [hit.etag[0], hit.etag[1], hit.etag[2]] = etag;
    hit.ageMs = freshness.ageMs;
    hit.lifetimeMs = freshness.lifetimeMs;
    hit.length = value.length;
    output.end = storedMessages.write(hit, output.bytes, output.end);
    if (!request.headOnly) {
      output.bytes.set(value, output.end);
      output.end += value.length;
    }
    output.flush(this.#outlet);
    this.#watchWrites();
    this.#resume();
    this.#endIfDone();
    return true;
  }

  /** Answers a request whose read has ended with a bug. */
  #settleFailure(place: Place<Message>, bug: unknown, headOnly: boolean): void {
    this.#fastPath.report(bug);
    this.#fastPath.pending.countFailure();
    this.#settle(place, INTERNAL_ERROR, headOnly, 0, undefined);
  }

  /** Has the answer to a request that had to wait for it. */
  #settle(
    place: Place<Message>,
    answer: HttpResponse,
    headOnly: boolean,
    loadedBytes: number,
    readAgain: (() => void) | undefined,
  ): void {
    if (this.#socket.destroyed) return;
    this.#activeAt = this.#fastPath.ticks;
    if (this.#fastPath.closing && this.#held === undefined && this.#replies.isLast(place)) this.#closing = true;
    const message = this.#message(answer, this.#closing && this.#replies.isLast(place), headOnly);
    const { body } = message;
    const memory = body.length === 0 ? NO_MEMORY : [body.buffer];
    this.#replies.settle(place, message, memory, body.length, loadedBytes, readAgain);
  }

  /** Sends what can be sent, and goes on with what had to wait for it. */
  #goOn(): void {
    if (this.#socket.destroyed) return;
    this.#replies.send((message) => this.#write(message));
    this.#fastPath.output.flush(this.#outlet);
    this.#watchWrites();
    this.#resume();
    this.#endIfDone();
  }

  #authorization(bytes: Buffer): string | undefined {
    return textOf(bytes, this.#fastPath.head.authorizationFrom, this.#fastPath.head.authorizationTo);
  }

  #directives(bytes: Buffer): ReadDirectives | undefined {
    const { cacheControlFrom, cacheControlTo, pragmaFrom, pragmaTo } = this.#fastPath.head;
    return readDirectives(textOf(bytes, cacheControlFrom, cacheControlTo), textOf(bytes, pragmaFrom, pragmaTo));
  }

  /** Whether so much is under way that no more can be taken on. */
  #mustWait(): boolean {
    return this.#replies.isFull || this.#outlet.isFull;
  }

  #hold(bytes: Buffer, own: boolean): void {
    this.#fastPath.output.flush(this.#outlet);
    this.#held = own ? bytes : Buffer.from(bytes);
    this.#watchWrites();
    this.#pause();
  }

  #pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  /** A client that does not take its answers is asked for no more requests, and cut off after a while. */
  #watchWrites(): void {
    if (this.#outlet.length === 0) return;
    this.#socket.setTimeout(this.#fastPath.stallTimeoutMs);
    if (this.#outlet.isFull) this.#pause();
  }

  #timeOut(): void {
    if (this.#outlet.length === 0) this.#socket.setTimeout(0);
    else if (this.#outlet.hasMoved()) this.#socket.setTimeout(this.#fastPath.stallTimeoutMs);
    else this.#socket.destroy();
  }

  /** Goes on with what had to wait. */
  #resume(): void {
    if (this.#closing || this.#socket.destroyed || this.#mustWait()) return;
    if (!this.#paused) return;
    this.#paused = false;
    this.#activeAt = this.#fastPath.ticks;
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#work(held, true);
    // Unless there was too much again, or the connection has left.
    if (!this.#paused && this.#fastPath.connections.has(this)) this.#socket.resume();
    this.#endIfDone();
  }

  /** Ends the connection when all that is to be answered on it has been. */
  #endIfDone(): void {
    if (this.#replies.length > 0 || this.#held !== undefined) return;
    if (this.#closing) this.#socket.destroySoon();
    else if (this.#ended) this.#socket.end();
  }
}

/** The value of a header; undefined when there is none, which starts at 0. */
function textOf(bytes: Buffer, from: number, to: number): string | undefined {
  return from === 0 ? undefined : bytes.toString('latin1', from, to);
}
