import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { BufferAccounting } from '../buffer-accounting.ts';
import { SharedReadBuffer } from '../shared-read-buffer.ts';
import { isFault } from '../socket-fault.ts';
import { SocketWriter } from '../socket-writer.ts';
import { CLOSE_GRACE_MS } from '../time-limits.ts';
import { InputBuffer } from './input-buffer.ts';
import { OrderedReplies, type Place, type ReadReply } from './ordered-replies.ts';

/**
 * Bytes that are buffered while no request may be executed, before reading pauses: only a socket that is read shows that its client
 * has disconnected.
 */
const MAX_BLOCKED_INPUT_BYTES = 16 * 1024;

/** Collects replies until they are sent with one write; shared by all connections of a thread, and empty between two steps. */
interface PipelineOutput {
  /** Sends the collected replies. */
  flush(writer: SocketWriter): void;
  /** Discards the collected replies. */
  clear(): void;
}

/** Counts the requests whose replies a step of a connection writes. */
interface ReplyCounter {
  /** Counts the requests so far: their replies are about to be written. */
  publish(): void;
  /** Ends a step: the replies were written. */
  commit(): void;
  /** Counts the requests of a step, even if published, as failed, and `queued` further replies of the same connection. */
  discard(queued: number): void;
  /** Counts a reply that could not be rendered, in whose place an error is sent. */
  countFailure(): void;
}

/** Per-thread context shared by all connections of a protocol. */
export interface PipelineContext {
  readonly memory: BufferAccounting;
  readonly reads: SharedReadBuffer;
  readonly output: PipelineOutput;
  readonly pending: ReplyCounter;
  /** Milliseconds within which a client must send the rest of a request. */
  readonly requestTimeoutMs: number;
  /** Milliseconds after which a client that does not read its replies is disconnected. */
  readonly stallTimeoutMs: number;
  /** Logs an unexpected error. */
  report(bug: unknown): void;
}

/** What a protocol adds to a {@link PipelinedConnection}: it parses requests, executes them and writes their replies. */
export interface PipelineProtocol<Reply> {
  /** Whether the protocol itself does not permit to execute a further request now. */
  readonly isBlocked: boolean;
  /** Whether a request was parsed in part. */
  readonly inRequest: boolean;
  /**
   * Executes requests in order until the bytes end, a request is incomplete, or the connection is blocked.
   *
   * @param bytes overwritten after this call; never called while the connection is blocked.
   * @returns the number of bytes processed; the rest is passed again, followed by the bytes received since.
   */
  process(bytes: Buffer): number;
  /** Writes a reply to the output. */
  write(reply: Reply): void;
  /** Called after replies were sent, or the client has read. */
  onSent(): void;
  /** Called once, when the connection has closed. */
  onClose(): void;
}

/**
 * A connection whose client may send requests without waiting for the replies to earlier ones. Requests are executed in order
 * as they arrive, so that their loads run concurrently, and replies are sent in the same order. This class owns everything
 * that does not depend on the protocol: reading, the order and limits of replies, back-pressure, time limits, closing, and
 * unexpected errors.
 *
 * - No request is executed while too many replies are queued ({@link OrderedReplies.isFull}), while the client does not read,
 *   and while the protocol is blocked. Bytes received before are buffered. Reading pauses while the client does not read, and
 *   otherwise once 16 KiB are buffered.
 * - A client that neither reads its replies nor sends the rest of a request in time is disconnected.
 * - Each step ends with its replies written. If it throws, only this connection closes.
 * - The last reply is followed by a lingering close: closing a socket with unread input would reset it, and the client would
 *   lose the replies.
 */
export class PipelinedConnection<Reply> {
  /** Replies that were not sent. */
  readonly replies: OrderedReplies<Reply>;
  readonly #socket: Socket;
  readonly #context: PipelineContext;
  readonly #protocol: PipelineProtocol<Reply>;
  readonly #writer: SocketWriter;
  /** Received bytes that were not processed. */
  readonly #input = new InputBuffer();
  /** The client does not read. */
  #backpressured = false;
  /** No request could be executed at the end of the last step. */
  #blocked = false;
  /** The socket does not read. */
  #paused = false;
  /** No more bytes are read; requests received before are still executed. */
  #halfClosed = false;
  /** No more requests are executed. */
  #ended = false;
  /** The last reply was sent, or the connection was detached. */
  #closing = false;
  #wakeScheduled = false;
  /** Limits how long a client may take to send the rest of a request. */
  #requestTimer: NodeJS.Timeout | undefined;
  /** Whether a request was completed since {@link #requestTimer} was started. */
  #progressed = false;
  readonly #onRead = (bytes: Buffer): void => this.#receive(bytes);
  readonly #listeners = {
    drain: () => this.#onDrain(),
    end: () => this.finish(),
    close: () => this.#onClose(),
    error: (error: Error) => this.#onError(error),
    timeout: () => this.#onTimeout(),
  };

  constructor(socket: Socket, context: PipelineContext, protocol: PipelineProtocol<Reply>) {
    this.#socket = socket;
    this.#context = context;
    this.#protocol = protocol;
    this.#writer = new SocketWriter(socket, context.memory, this.#listeners.drain);
    this.replies = new OrderedReplies(context.memory, this.#writer);
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
    context.reads.attach(socket, this.#onRead);
  }

  /** Whether the client has disconnected, so that nothing needs to be read for it. */
  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  /**
   * Whether the client has disconnected, or at least closed its sending side: until something is written to it, nothing tells
   * the two apart.
   */
  get mayBeClosed(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  /** Whether every request was executed, and the kernel has accepted all replies. */
  get isIdle(): boolean {
    return this.replies.length === 0 && this.#writer.length === 0 && !this.#protocol.isBlocked;
  }

  /** Whether the kernel has not accepted all bytes that were written. */
  get isSending(): boolean {
    return this.#writer.length > 0;
  }

  /** Whether the client does not read. */
  get isBackpressured(): boolean {
    return this.#backpressured;
  }

  /** Whether no further request may be executed now. */
  get isBlocked(): boolean {
    return this.#backpressured || this.#ended || this.#protocol.isBlocked || this.replies.isFull;
  }

  /** Whether received bytes wait to be processed. */
  get hasInput(): boolean {
    return this.#input.length > 0;
  }

  /** Runs a step. An unexpected error closes this connection alone, and discards its replies from the shared output. */
  step(run: () => void): void {
    try {
      run();
      // Otherwise the replies are not written yet.
      if (!this.#wakeScheduled) this.#context.pending.commit();
    } catch (bug) {
      this.#fail(bug);
    }
  }

  /**
   * Calls one of the functions, as a step, once a read has ended.
   *
   * @param onBug called if the read has thrown, which is logged and counted.
   */
  whenRead<T>(read: Promise<T>, onResult: (result: T) => void, onBug: () => void): void {
    read.then(
      (result) => this.step(() => onResult(result)),
      (bug: unknown) => {
        this.step(() => {
          this.#context.report(bug);
          this.#context.pending.countFailure();
          onBug();
        });
      },
    );
  }

  /** Stores a reply as {@link OrderedReplies.settle} does, and sends it at the end of this tick if it is next. */
  settle(place: Place<Reply>, reply: ReadReply<Reply>): boolean {
    if (this.#socket.destroyed) return true;
    const isKept = this.replies.settle(place, reply);
    this.wake();
    return isKept;
  }

  /** Sends the replies in the output, and then `parts`, if any, with one write. */
  flush(parts?: readonly Buffer[]): void {
    // A client that has its reply finds it counted.
    this.#context.pending.publish();
    this.#context.output.flush(this.#writer);
    if (parts !== undefined) this.#writer.writeAll(parts);
    if (this.#writer.length > 0) this.#watchStall();
  }

  /**
   * Lets the protocol write a message that is no reply, between two replies, and then continues as {@link resume} does. Must not
   * be called within a step; has no effect once the last reply was sent.
   */
  interject(write: () => void): void {
    if (this.#closing || this.#socket.destroyed) return;
    this.step(() => {
      write();
      this.resume();
    });
  }

  /** Schedules {@link resume}, once for everything that happens in one tick of the event loop. */
  wake(): void {
    if (this.#wakeScheduled) return;
    this.#wakeScheduled = true;
    process.nextTick(() => {
      this.#wakeScheduled = false;
      this.step(() => this.resume());
    });
  }

  /** Sends the replies that are ready, and processes the input that waited for them. */
  resume(): void {
    if (this.#socket.destroyed) return;
    if (this.replies.length > 0) this.replies.send((reply) => this.#protocol.write(reply));
    this.flush();
    this.#protocol.onSent();
    if (this.#input.length > 0 && !this.isBlocked) this.#processInput();
    this.#afterStep();
  }

  /** Stops reading, and closes the connection once the requests received so far have been replied to. */
  finish(): void {
    this.#halfClosed = true;
    this.step(() => this.resume());
  }

  /** Restarts the time limit for the rest of a request: one was completed. */
  noteRequest(): void {
    this.#progressed = true;
  }

  /** Executes no more requests, and closes the connection once those executed so far have been replied to. */
  end(): void {
    this.#ended = true;
  }

  destroy(): void {
    this.#ended = true;
    this.#socket.destroy();
  }

  /**
   * Leaves the socket to another owner, after all replies.
   *
   * @returns whether the client has closed its sending side.
   */
  detach(): boolean {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
    SharedReadBuffer.detach(this.#socket, this.#onRead);
    clearTimeout(this.#requestTimer);
    this.#ended = this.#closing = true;
    return this.#halfClosed;
  }

  /** @param chunk is overwritten by the next read. */
  #receive(chunk: Buffer): void {
    if (this.#ended) return;
    try {
      if (this.#input.length === 0 && !this.#blocked) {
        const processed = this.#protocol.process(chunk);
        if (processed < chunk.length) this.#input.add(chunk, processed, chunk.length);
      } else {
        this.#input.add(chunk, 0, chunk.length);
        // Other threads may have released memory since the last step.
        if (!this.isBlocked) this.#processInput();
      }
      this.#afterStep();
      this.#context.pending.commit();
    } catch (bug) {
      this.#fail(bug);
    }
  }

  #processInput(): void {
    this.#input.drop(this.#protocol.process(this.#input.bytes));
  }

  /** Sends the replies, then pauses or resumes reading, watches the rest of a request, or closes. */
  #afterStep(): void {
    this.flush();
    const isBlocked = this.isBlocked;
    if (this.#halfClosed && !isBlocked) this.#ended = true;
    if (this.#ended) return this.#endIfDone();
    this.#watchIncompleteRequest(!isBlocked && (this.#input.length > 0 || this.#protocol.inRequest));
    this.#blocked = isBlocked;
    const pauses = isBlocked && (this.#backpressured || this.#input.length >= MAX_BLOCKED_INPUT_BYTES);
    if (pauses === this.#paused) return;
    this.#paused = pauses;
    if (pauses) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Disconnects a client that takes too long to send the rest of a request. */
  #watchIncompleteRequest(isIncomplete: boolean): void {
    if (!isIncomplete) {
      if (this.#requestTimer !== undefined) clearTimeout(this.#requestTimer);
      this.#requestTimer = undefined;
    } else if (this.#requestTimer === undefined) {
      this.#requestTimer = setTimeout(() => this.#socket.destroy(), this.#context.requestTimeoutMs).unref();
    } else if (this.#progressed) {
      this.#requestTimer.refresh();
    }
    this.#progressed = false;
  }

  /** Disconnects a client that reads none of its replies for some time. */
  #watchStall(): void {
    if (this.#writer.isFull) this.#backpressured = true;
    // A write over TLS is never complete at once, and restarts a running time-out.
    if (this.#writer.isEncrypted && this.#socket.timeout === this.#context.stallTimeoutMs) return;
    this.#socket.setTimeout(this.#context.stallTimeoutMs);
  }

  #onTimeout(): void {
    if (this.#writer.length === 0) this.#socket.setTimeout(0);
    else if (this.#writer.hasProgressed()) this.#socket.setTimeout(this.#context.stallTimeoutMs);
    else this.#socket.destroy();
  }

  #onDrain(): void {
    if (this.#closing) return;
    this.#backpressured = this.#writer.isFull;
    if (this.#writer.length === 0) this.#socket.setTimeout(0);
    this.step(() => this.resume());
  }

  #endIfDone(): void {
    this.#input.clear();
    this.#watchIncompleteRequest(false);
    const socket = this.#socket;
    if (this.#closing || socket.destroyed || this.replies.length > 0 || this.#protocol.isBlocked) return;
    this.#closing = true;
    const destroyAfter = (ms: number): NodeJS.Timeout => setTimeout(() => socket.destroy(), ms);
    // What the client sends restarts the socket's own time-out.
    let timer = socket.readableEnded ? undefined : destroyAfter(this.#context.stallTimeoutMs);
    socket.once('close', () => clearTimeout(timer));
    socket.end(() => {
      clearTimeout(timer);
      if (!socket.destroyed) timer = destroyAfter(CLOSE_GRACE_MS);
    });
    // Input is read and discarded until the client closes.
    socket.resume();
  }

  #onError(error: Error): void {
    if (isFault(error)) this.#fail(error);
    else this.#socket.destroy();
  }

  #fail(bug: unknown): void {
    this.#context.report(bug);
    this.#context.pending.discard(this.replies.length);
    this.#context.output.clear();
    this.destroy();
  }

  #onClose(): void {
    this.#ended = true;
    clearTimeout(this.#requestTimer);
    this.replies.clear();
    this.#input.clear();
    this.#protocol.onClose();
  }
}
