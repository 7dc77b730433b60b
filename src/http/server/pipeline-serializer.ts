import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Queued requests of one connection beyond which reading pauses. */
const MAX_QUEUED = 128;

interface QueuedRequest {
  /** Undefined for a step that is not a request. */
  readonly request: IncomingMessage | undefined;
  readonly response: ServerResponse | undefined;
  start: () => void;
}

/**
 * Serialises pipelined requests on one keep-alive connection of node:http, which would emit all requests that it parses
 * and keep their responses in memory until they can be sent.
 */
export class PipelineSerializer {
  readonly #socket: Socket;
  /** The first one is being served. */
  readonly #queue: QueuedRequest[] = [];
  /** The request that was parsed last. */
  #last: QueuedRequest | undefined;
  #paused = false;
  #rejected = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether every request has been served. */
  get idle(): boolean {
    return this.#queue.length === 0;
  }

  /** Calls `start` when all previous requests have been served; never if one of their responses closes the connection. */
  admit(request: IncomingMessage, response: ServerResponse, start: () => void): void {
    if (this.#ended) return;
    response.once('close', () => this.#next());
    this.#last = { request, response, start };
    this.#push(this.#last);
    if (this.#queue.length > MAX_QUEUED) this.#pause();
  }

  /** Calls `start` when all previous requests have been served, and does not wait for a response. */
  afterAll(start: () => void): void {
    this.#push({ request: undefined, response: undefined, start });
  }

  /**
   * Rejects the bytes behind the last request: calls `reject`, once, when all previous requests have been served. If the
   * bytes belong to the body of the last request, that request is rejected instead, or the connection is closed if its
   * response has been sent.
   */
  rejectRest(reject: () => void): void {
    // node:http reports the error again for every further chunk.
    if (this.#rejected || this.#ended) return;
    this.#rejected = true;
    const last = this.#last;
    if (last?.request?.complete !== false) {
      if (this.#queue.length > 0) this.#socket.pause();
      return this.#push({ request: undefined, response: undefined, start: reject });
    }
    const place = this.#queue.indexOf(last);
    if (place > 0) last.start = reject;
    else if (place === 0 && last.response?.headersSent === false) reject();
    else this.#socket.destroySoon();
  }

  /** Closes the connection after the next response. */
  closeAfterNext(): void {
    for (const { response } of this.#queue) if (response !== undefined) response.shouldKeepAlive = false;
  }

  /** Whether no further response can be sent. */
  get #ended(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded;
  }

  #push(request: QueuedRequest): void {
    this.#queue.push(request);
    if (this.#queue.length === 1) this.#start();
  }

  /** Continues after a response has been sent, or the connection has been closed. */
  #next(): void {
    this.#queue.shift();
    if (this.#ended) {
      this.#queue.length = 0;
      return;
    }
    if (this.#paused && this.#queue.length <= MAX_QUEUED / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.#start();
  }

  #start(): void {
    const next = this.#queue.at(0);
    if (next?.response === undefined) this.#queue.shift();
    next?.start();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    // node:http resumes the socket at the end of each request that it has parsed.
    process.nextTick(() => {
      if (this.#paused) this.#socket.pause();
    });
  }
}
