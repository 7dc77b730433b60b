import type { Socket } from 'node:net';
import type { Client } from './client.ts';
import type { Place } from '../../net/pipeline/ordered-replies.ts';
import { PipelinedConnection, type PipelineProtocol } from '../../net/pipeline/pipelined-connection.ts';
import type { ConnectionContext } from './connection-context.ts';
import { InvalidationMessages } from './invalidation-messages.ts';
import type { QueuedReply, Reply } from '../protocol/reply.ts';
import { WRITE_BYTES } from '../protocol/reply-writer.ts';
import { type RequestLimits, RequestParser } from '../protocol/request-parser.ts';
import { RequestLock } from './request-lock.ts';

const LIMITS: RequestLimits = {
  maxArguments: 1101,
  maxBulkBytes: 128 * 1024,
  maxRequestBytes: 256 * 1024,
  unauthenticated: false,
};
/** As in Redis. */
const UNAUTHENTICATED_LIMITS: RequestLimits = {
  maxArguments: 10,
  maxBulkBytes: 16 * 1024,
  maxRequestBytes: 256 * 1024,
  unauthenticated: true,
};

/**
 * Multi-key requests of one connection that may wait for Redis at the same time: each may buffer the values of a whole
 * reply, and their size is unknown until they are loaded.
 */
const MAX_MULTI_KEY_REQUESTS = 4;

const NO_VALUES: readonly Buffer[] = [];

/** First words of HTTP requests, which a web page can make a browser send to this port. Redis closes on them, too. */
const HTTP_FIRST_WORDS = /^(?:post|host:)$/i;

/** The Redis protocol on one client connection: parses requests and executes them. */
export class RespConnection implements PipelineProtocol<QueuedReply> {
  readonly #context: ConnectionContext;
  readonly #client: Client;
  readonly #connection: PipelinedConnection<QueuedReply>;
  readonly #parser = new RequestParser();
  readonly #invalidations: InvalidationMessages;
  /** Undefined unless requests are serialised. */
  readonly #lock: RequestLock | undefined;
  #multiKeyRequests = 0;
  /** Whether bytes were received since the last {@link closeIfIdle}. */
  #active = true;
  #activeAt = 0;
  /** When the client was last seen authenticated; until then, when it connected. */
  #authenticatedAt: number;

  /** @param connectedAt in milliseconds, as `performance.now()` returns it. */
  constructor(socket: Socket, client: Client, context: ConnectionContext, connectedAt = performance.now()) {
    this.#authenticatedAt = connectedAt;
    this.#client = client;
    this.#context = context;
    this.#lock = context.mutex === undefined ? undefined : new RequestLock(context.mutex);
    this.#connection = new PipelinedConnection(socket, context, this);
    this.#invalidations = new InvalidationMessages(this.#connection, client, context);
    client.invalidate = (keys) => this.#invalidations.send(keys);
    // Its key may have been written before the proxy was notified of writes: the client must not cache the reply.
    client.noteStale = () => {
      if (client.tracking !== undefined) this.#invalidations.send(undefined);
    };
    client.dropWaitingReplies = () => this.#connection.replies.dropWaiting(({ drop }) => drop?.());
  }

  /** Whether too many requests for many keys are in flight, or the mutex permits no further request. */
  get isBlocked(): boolean {
    return this.#multiKeyRequests >= MAX_MULTI_KEY_REQUESTS || (this.#lock !== undefined && this.#lock.isBusy);
  }

  get inRequest(): boolean {
    return this.#parser.inRequest;
  }

  /**
   * Closes the connection if the client has sent nothing, or has not authenticated, for too long.
   *
   * @param now in milliseconds, as `performance.now()` returns it.
   */
  closeIfIdle(now: number): void {
    const { idleTimeoutMs, authenticationTimeoutMs } = this.#context;
    if (this.#active) this.#activeAt = now;
    this.#active = false;
    if (this.#client.authenticated) this.#authenticatedAt = now;
    const isIdle = idleTimeoutMs > 0 && now - this.#activeAt > idleTimeoutMs && this.#connection.isIdle;
    if (isIdle || now - this.#authenticatedAt > authenticationTimeoutMs) this.#connection.destroy();
  }

  /** Stops reading, and closes the connection once the requests received so far have been replied to. */
  finish(): void {
    this.#connection.finish();
  }

  /**
   * Closes the connection if the token it authenticated with has been revoked. In-flight requests are still replied to.
   * Clients reconnect when a connection closes, and authenticate with their current token; they do not when a command
   * fails with NOAUTH.
   */
  closeIfRevoked(): void {
    const client = this.#client;
    if (client.credential === undefined || this.#context.access.stillAccepts(client.credential)) return;
    client.authenticated = false;
    client.credential = undefined;
    this.#context.trackingClients.stop(client);
    this.finish();
  }

  process(bytes: Buffer): number {
    const { get, query, hit, output, cache, access, pending } = this.#context;
    const connection = this.#connection;
    const parser = this.#parser;
    const end = bytes.length;
    let at = 0;
    let released = 0;
    let direct = this.#repliesDirectly;
    this.#active = true;
    while (at < end && !connection.isBlocked) {
      if (
        direct &&
        get.match(bytes, at, end) &&
        access.allowsKey(bytes, get.from, get.to) &&
        cache.tryGetInto(bytes, get.from, get.to, hit)
      ) {
        if (!output.hasRoom(hit.length)) connection.flush();
        output.hit(hit);
        pending.hits++;
        at = get.to + 2;
        continue;
      }
      if (direct && query.match(bytes, at, end) && this.#tryReply(bytes)) {
        at = query.end;
        continue;
      }
      if (!parser.next(bytes, at, end, this.#client.authenticated ? LIMITS : UNAUTHENTICATED_LIMITS)) {
        if (parser.problem !== undefined) this.#failProtocol(parser.problem);
        released = parser.release();
        break;
      }
      const request = parser.argumentsOf(bytes, at);
      at += parser.length;
      if (request.length > 0) this.#execute(request, parser.excess);
      direct = this.#repliesDirectly;
    }
    if (at > 0) connection.noteRequest();
    return at + released;
  }

  write({ write, isMultiKey }: QueuedReply): void {
    if (isMultiKey) this.#multiKeyRequests--;
    write();
    if (this.#context.output.length >= WRITE_BYTES) this.#connection.flush();
  }

  onSent(): void {
    const lock = this.#lock;
    if (lock !== undefined && lock.isHeld && this.#connection.replies.length === 0) this.#unlockWhenSent(lock);
  }

  onClose(): void {
    this.#client.disconnected = true;
    this.#context.trackingClients.stop(this.#client);
    this.#context.commands.forget(this.#client);
    this.#lock?.release();
  }

  /**
   * Whether a GET may be replied to at once: authenticated, outside a transaction, with no key to be tracked, and with no reply
   * queued before.
   */
  get #repliesDirectly(): boolean {
    return (
      this.#client.authenticated &&
      this.#client.transaction === undefined &&
      this.#client.tracking === undefined &&
      this.#lock === undefined &&
      this.#connection.replies.length === 0 &&
      !this.#parser.inRequest
    );
  }

  /** Replies to the query that has been matched in `bytes` if its reply is cached; returns whether it is. */
  #tryReply(bytes: Buffer): boolean {
    const { query, hit, output, cache, access, pending } = this.#context;
    const { id } = query;
    if (!access.allowsKey(bytes, query.keyFrom, query.keyTo)) return false;
    if (!cache.tryGetInto(id.bytes, 0, id.length, hit, id.selectorLength)) return false;
    if (!output.hasRoom(hit.length)) this.#connection.flush();
    output.protocol = this.#client.protocol;
    output.reply(hit.bytes, hit.length, query.shape);
    pending.hits++;
    return true;
  }

  /**
   * Executes a request, once the mutex is free if there is one.
   *
   * @param excess the error if the request is too large.
   */
  #execute(request: readonly Buffer[], excess: string | undefined): void {
    const lock = this.#lock;
    if (lock === undefined) return this.#dispatch(request, excess);
    if (lock.tryAcquire()) return this.#executeLocked(lock, request, excess);
    const copies = request.map((argument) => Buffer.from(argument));
    lock.wait(() => {
      if (this.#connection.isClosed) return lock.release();
      this.#connection.step(() => this.#executeLocked(lock, copies, excess));
      this.#connection.wake();
    });
  }

  #executeLocked(lock: RequestLock, request: readonly Buffer[], excess: string | undefined): void {
    this.#dispatch(request, excess);
    if (this.#connection.replies.length === 0) this.#unlockWhenSent(lock);
  }

  /** Releases the mutex once the kernel has accepted the replies, or after a time-out. */
  #unlockWhenSent(lock: RequestLock): void {
    this.#connection.flush();
    if (this.#connection.isBackpressured) lock.releaseLater();
    else lock.release();
  }

  #dispatch(request: readonly Buffer[], excess: string | undefined): void {
    const { commands, output } = this.#context;
    const { replies } = this.#connection;
    const client = this.#client;
    if (HTTP_FIRST_WORDS.test(request[0].toString('latin1', 0, 5))) return this.#connection.destroy();
    output.protocol = client.protocol;
    const isQueued = replies.length > 0;
    client.hasQueuedReplies = isQueued;
    const replied = commands.execute(request, client, output, excess);
    if (replied !== undefined) {
      const requestBytes = request.reduce((sum, { length }) => sum + length, 0);
      this.#awaitReply(replied, requestBytes, commands.isMultiKey(request));
    } else if (isQueued) {
      const bytes = output.length;
      const parts = output.take();
      const write = (): void => output.put(parts);
      replies.push(
        { write, isMultiKey: false },
        parts.map(({ buffer }) => buffer),
        bytes,
      );
    } else if (output.length >= WRITE_BYTES) {
      this.#connection.flush();
    }
    // What the client has read may change without an invalidation: it must not cache the reply.
    const untracked = client.tracking?.takeUntracked();
    if (untracked !== undefined) this.#invalidations.sendBehindReplies(untracked);
    if (client.quitting) this.#connection.end();
  }

  #awaitReply(replied: Reply | Promise<Reply>, requestBytes: number, isMultiKey: boolean): void {
    // Replies before this one can be sent now.
    this.#connection.flush();
    if (isMultiKey) this.#multiKeyRequests++;
    const place = this.#connection.replies.reserve(requestBytes);
    if (replied instanceof Promise) this.#settleWhenKnown(place, replied, isMultiKey);
    else this.#settle(place, replied, isMultiKey);
  }

  /** Puts a reply into its place in the order once it is known. */
  #settleWhenKnown(place: Place<QueuedReply>, replied: Promise<Reply>, isMultiKey: boolean): void {
    this.#connection.whenRead(
      replied,
      (reply) => this.#settle(place, reply, isMultiKey),
      () => this.#settle(place, () => this.#context.output.error('ERR internal error'), isMultiKey),
    );
  }

  #settle(place: Place<QueuedReply>, reply: Reply, isMultiKey: boolean): void {
    const { values = NO_VALUES, again } = reply;
    const bytes = values.reduce((sum, { length }) => sum + length, 0);
    const isKept = this.#connection.settle(place, {
      reply: { write: reply, drop: reply.drop, isMultiKey },
      memory: values.map(({ buffer }) => buffer),
      bytes,
      loadedBytes: bytes,
      readAgain: again === undefined ? undefined : () => this.#settleWhenKnown(place, again(), isMultiKey),
    });
    if (!isKept) reply.drop?.();
  }

  #failProtocol(problem: string): void {
    const { output } = this.#context;
    const { replies } = this.#connection;
    if (replies.length === 0) output.error(`ERR ${problem}`);
    else replies.push({ write: () => output.error(`ERR ${problem}`), isMultiKey: false });
    this.#connection.end();
  }
}
