import type { Socket } from 'node:net';
import type { Client } from './client.ts';
import { isFault } from '../../net/socket-fault.ts';
import { SocketWriter } from '../../net/socket-writer.ts';
import { CLOSE_GRACE_MS, MUTEX_WRITE_TIMEOUT_MS } from '../../net/time-limits.ts';
import type { ConnectionContext } from './connection-context.ts';
import { InputBuffer } from '../protocol/input-buffer.ts';
import { OrderedReplies, type Place } from '../../net/ordered-replies.ts';
import type { Reply } from '../protocol/reply.ts';
import { WRITE_BYTES } from '../protocol/reply-writer.ts';
import { type RequestLimits, RequestParser } from '../protocol/request-parser.ts';

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

/** A reply that is ready to be written. */
interface QueuedReply {
  readonly write: () => void;
  readonly isMultiKey: boolean;
}

/** First words of HTTP requests, which a web page can make a browser send to this port. Redis closes on them, too. */
const HTTP_FIRST_WORDS = /^(?:post|host:)$/i;

/**
 * One client connection: parses pipelined requests, executes them in order and sends their replies in the same order.
 * Requests behind one that waits for Redis are executed meanwhile, so that their loads run concurrently. Reading pauses
 * while too many replies are queued, while the client does not read its replies, and while another request holds the mutex.
 */
export class RespConnection {
  readonly #socket: Socket;
  readonly #writer: SocketWriter;
  readonly #context: ConnectionContext;
  readonly #client: Client;
  readonly #parser = new RequestParser();
  readonly #input = new InputBuffer();
  readonly #replies: OrderedReplies<QueuedReply>;
  #multiKeyRequests = 0;
  /** Whether bytes were received since the last {@link closeIfIdle}. */
  #active = true;
  #activeAt = 0;
  /** When the client was last seen authenticated; until then, when it connected. */
  #authenticatedAt = performance.now();
  /** Paused by back-pressure: the client is not reading. */
  #backpressured = false;
  /** A request waits for the mutex. */
  #waitingForTurn = false;
  /** A request of this connection holds the mutex. */
  #holdsTurn = false;
  /** Limits how long the mutex is held for a client that does not read. */
  #turnTimer: NodeJS.Timeout | undefined;
  /** No more bytes are read; requests received before are still executed. */
  #halfClosed = false;
  /** No more requests are executed. */
  #ended = false;
  /** `socket.end` has been called, after the last reply. */
  #closing = false;
  /** The socket is paused. */
  #paused = false;
  #wakeScheduled = false;
  /** Limits how long a client may take to send the rest of a request. */
  #requestTimer: NodeJS.Timeout | undefined;
  /** Whether a request was completed since {@link #requestTimer} was started. */
  #progressed = false;

  constructor(socket: Socket, client: Client, context: ConnectionContext) {
    this.#socket = socket;
    this.#client = client;
    this.#context = context;
    const onDrain = (): void => this.#guard(() => this.#onDrain());
    this.#writer = new SocketWriter(socket, context.memory, onDrain);
    this.#replies = new OrderedReplies(context.memory, this.#writer);
    socket.on('drain', onDrain);
    socket.on('timeout', () => this.#onWriteTimeout());
    socket.on('end', () => this.finish());
    socket.on('error', (error) => (isFault(error) ? this.#fail(error) : socket.destroy()));
    socket.once('close', () => this.#onClose());
  }

  /** Whether every request has been executed, and the kernel has accepted all replies. */
  get idle(): boolean {
    return this.#replies.length === 0 && !this.#waitingForTurn && this.#writer.length === 0;
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
    const isIdle = idleTimeoutMs > 0 && now - this.#activeAt > idleTimeoutMs && this.idle;
    if (isIdle || now - this.#authenticatedAt > authenticationTimeoutMs) this.#socket.destroy();
  }

  /**
   * Processes received bytes.
   *
   * @param bytes the first `length` of them; the memory is reused after this call.
   * @returns whether the socket may go on reading.
   */
  receive(bytes: Buffer, length: number): boolean {
    this.#active = true;
    if (!this.#ended) this.#guard(() => this.#consume(bytes, length));
    return this.#ended || !this.#paused;
  }

  /** Stops reading, and closes the connection once the requests received so far have been replied to. */
  finish(): void {
    this.#halfClosed = true;
    this.#guard(() => this.#afterStep());
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
    this.finish();
  }

  /** Runs a step; if it throws, closes this connection alone, and discards replies that the shared writer still holds. */
  #guard(step: () => void): void {
    try {
      step();
      this.#context.pending.commit();
    } catch (bug) {
      this.#fail(bug);
    }
  }

  #fail(bug: unknown): void {
    this.#context.report(bug);
    this.#context.pending.discard(this.#replies.length);
    this.#context.out.clear();
    this.#ended = true;
    this.#socket.destroy();
  }

  #consume(bytes: Buffer, length: number): void {
    if (this.#input.length === 0) {
      const at = this.#process(bytes, 0, length);
      if (at < length) this.#input.add(bytes, at, length);
    } else {
      this.#input.add(bytes, 0, length);
      this.#processInput();
    }
    this.#afterStep();
    this.#paused = this.#blocked && !this.#ended;
  }

  /** Executes the complete requests between two offsets; returns the offset of the first byte that is still needed. */
  #process(bytes: Buffer, from: number, end: number): number {
    const { get, hit, out, cache, access, pending } = this.#context;
    const parser = this.#parser;
    let at = from;
    let released = 0;
    let direct = this.#repliesDirectly;
    while (at < end && !this.#blocked) {
      if (
        direct &&
        get.match(bytes, at, end) &&
        access.allowsKey(bytes, get.from, get.to) &&
        cache.tryGetInto(bytes, get.from, get.to, hit)
      ) {
        if (!out.hasRoom(hit.length)) this.#flush();
        out.hit(hit);
        pending.hits++;
        at = get.to + 2;
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
    if (at > from) this.#progressed = true;
    return at + released;
  }

  /** Whether a GET may be replied to at once: authenticated, outside a transaction, and with no reply queued before. */
  get #repliesDirectly(): boolean {
    return (
      this.#client.authenticated &&
      this.#client.transaction === undefined &&
      this.#context.mutex === undefined &&
      this.#replies.length === 0 &&
      !this.#parser.inRequest
    );
  }

  /** Whether no further request may be executed now. */
  get #blocked(): boolean {
    return (
      this.#backpressured ||
      this.#ended ||
      this.#waitingForTurn ||
      this.#holdsTurn ||
      this.#multiKeyRequests >= MAX_MULTI_KEY_REQUESTS ||
      this.#replies.isFull
    );
  }

  #processInput(): void {
    const input = this.#input;
    input.drop(this.#process(input.bytes, 0, input.length));
  }

  /**
   * Executes a request, once the mutex is free if there is one.
   *
   * @param excess the error if the request is too large.
   */
  #execute(request: readonly Buffer[], excess: string | undefined): void {
    const { mutex } = this.#context;
    if (mutex === undefined) return this.#dispatch(request, excess);
    if (mutex.tryAcquire()) return this.#executeInTurn(request, excess);
    const copies = request.map((argument) => Buffer.from(argument));
    this.#waitingForTurn = true;
    mutex.wait(() => {
      this.#waitingForTurn = false;
      if (this.#socket.destroyed) return mutex.release();
      this.#guard(() => this.#executeInTurn(copies, excess));
      this.#scheduleWake();
    });
  }

  #executeInTurn(request: readonly Buffer[], excess: string | undefined): void {
    this.#holdsTurn = true;
    this.#dispatch(request, excess);
    if (this.#replies.length === 0) this.#finishTurn();
  }

  /** Releases the mutex once the kernel has accepted the replies, or after a time-out. */
  #finishTurn(): void {
    this.#flush();
    if (this.#backpressured) this.#turnTimer ??= setTimeout(() => this.#releaseTurn(), MUTEX_WRITE_TIMEOUT_MS);
    else this.#releaseTurn();
  }

  #releaseTurn(): void {
    clearTimeout(this.#turnTimer);
    this.#turnTimer = undefined;
    this.#holdsTurn = false;
    this.#context.mutex?.release();
  }

  #dispatch(request: readonly Buffer[], excess: string | undefined): void {
    const { commands, out } = this.#context;
    const client = this.#client;
    if (HTTP_FIRST_WORDS.test(request[0].toString('latin1', 0, 5))) {
      this.#socket.destroy();
      this.#ended = true;
      return;
    }
    out.protocol = client.protocol;
    const isQueued = this.#replies.length > 0;
    const replied = commands.execute(request, client, out, excess);
    if (replied !== undefined) {
      const requestBytes = request.reduce((sum, { length }) => sum + length, 0);
      this.#awaitReply(replied, requestBytes, commands.isMultiKey(request));
    } else if (isQueued) {
      const bytes = out.length;
      const parts = out.take();
      const write = (): void => out.put(parts);
      this.#replies.push(
        { write, isMultiKey: false },
        parts.map(({ buffer }) => buffer),
        bytes,
      );
    } else if (out.length >= WRITE_BYTES) {
      this.#flush();
    }
    if (client.quitting) this.#ended = true;
  }

  #awaitReply(replied: Promise<Reply>, requestBytes: number, isMultiKey: boolean): void {
    // Replies before this one can be sent now.
    this.#flush();
    if (isMultiKey) this.#multiKeyRequests++;
    this.#settleWhenKnown(this.#replies.reserve(requestBytes), replied, isMultiKey);
  }

  /** Puts a reply into its place in the order once it is known. */
  #settleWhenKnown(place: Place<QueuedReply>, replied: Promise<Reply>, isMultiKey: boolean): void {
    const { out, pending, report } = this.#context;
    replied
      .catch((bug: unknown): Reply => {
        report(bug);
        pending.countFailure();
        return () => out.error('ERR internal error');
      })
      .then((reply) => {
        if (this.#socket.destroyed) return;
        const { values = NO_VALUES, again } = reply;
        const bytes = values.reduce((sum, { length }) => sum + length, 0);
        const isKept = this.#replies.settle(
          place,
          { write: reply, isMultiKey },
          values.map(({ buffer }) => buffer),
          bytes,
          bytes,
          again === undefined ? undefined : () => this.#settleWhenKnown(place, again(), isMultiKey),
        );
        if (!isKept) reply.drop?.();
        this.#scheduleWake();
      })
      .catch(report);
  }

  /** Schedules {@link #resume}, once for everything that happens in one tick of the event loop. */
  #scheduleWake(): void {
    if (this.#wakeScheduled) return;
    this.#wakeScheduled = true;
    process.nextTick(() => {
      this.#wakeScheduled = false;
      this.#guard(() => this.#resume());
    });
  }

  #resume(): void {
    if (this.#socket.destroyed) return;
    const { out } = this.#context;
    this.#replies.send(({ write, isMultiKey }) => {
      if (isMultiKey) this.#multiKeyRequests--;
      write();
      if (out.length >= WRITE_BYTES) this.#flush();
    });
    this.#flush();
    if (this.#replies.length === 0 && this.#holdsTurn) this.#finishTurn();
    if (!this.#blocked && this.#input.length > 0) this.#processInput();
    this.#afterStep();
    if (this.#paused && !this.#blocked) {
      this.#paused = false;
      this.#socket.resume();
    }
  }

  /** Flushes the replies, then updates the request timer and closes the connection if it has ended. */
  #afterStep(): void {
    this.#flush();
    if (this.#halfClosed && !this.#blocked) this.#ended = true;
    this.#watchIncompleteRequest((this.#input.length > 0 || this.#parser.inRequest) && !this.#blocked);
    if (this.#ended && this.#replies.length === 0 && !this.#waitingForTurn) this.#closeGracefully();
  }

  /** Sends the collected replies. Their reads are counted before the client can have a reply. */
  #flush(): void {
    this.#context.pending.publish();
    this.#context.out.flush(this.#writer);
    if (this.#writer.isFull && !this.#backpressured) {
      this.#backpressured = true;
      this.#socket.setTimeout(this.#context.writeTimeoutMs);
    }
  }

  #onWriteTimeout(): void {
    if (this.#writer.hasMoved()) this.#socket.setTimeout(this.#context.writeTimeoutMs);
    else this.#socket.destroy();
  }

  #onDrain(): void {
    if (!this.#backpressured) return;
    this.#backpressured = false;
    this.#socket.setTimeout(0);
    this.#resume();
  }

  /** Closes the connection if the client takes too long to send the rest of a request. */
  #watchIncompleteRequest(isIncomplete: boolean): void {
    if (!isIncomplete) {
      clearTimeout(this.#requestTimer);
      this.#requestTimer = undefined;
    } else if (this.#requestTimer === undefined) {
      this.#requestTimer = setTimeout(() => this.#socket.destroy(), this.#context.requestTimeoutMs).unref();
    } else if (this.#progressed) {
      this.#requestTimer.refresh();
    }
    this.#progressed = false;
  }

  #failProtocol(problem: string): void {
    this.#ended = true;
    const { out } = this.#context;
    if (this.#replies.length === 0) out.error(`ERR ${problem}`);
    else this.#replies.push({ write: () => out.error(`ERR ${problem}`), isMultiKey: false });
  }

  #closeGracefully(): void {
    if (this.#closing) return;
    this.#closing = true;
    const socket = this.#socket;
    const destroyAfter = (ms: number): NodeJS.Timeout => setTimeout(() => socket.destroy(), ms);
    let timer = destroyAfter(this.#context.writeTimeoutMs);
    socket.once('close', () => clearTimeout(timer));
    socket.end(() => {
      clearTimeout(timer);
      timer = destroyAfter(CLOSE_GRACE_MS);
    });
    // Input is read and discarded: closing a socket with unread input resets it, and the client loses the replies.
    socket.resume();
  }

  #onClose(): void {
    clearTimeout(this.#requestTimer);
    this.#ended = true;
    this.#client.disconnected = true;
    this.#replies.clear();
    this.#context.commands.forget(this.#client);
    this.#input.drop(this.#input.length);
    if (this.#holdsTurn) this.#releaseTurn();
  }
}
