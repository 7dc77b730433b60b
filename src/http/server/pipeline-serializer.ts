import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that wait for their turn before no more of it is read. */
const MAX_WAITING = 128;

interface Turn {
  /** Undefined: what stands here is no request. */
  readonly request: IncomingMessage | undefined;
  readonly response: ServerResponse | undefined;
  start: () => void;
}

/**
 * Handles the requests of a connection that node:http serves one after the other. node:http emits all requests that it
 * parses, and keeps their responses until they can be sent: a client that pipelines requests without waiting for the
 * responses, or without reading them, would have all of them rendered and held at once.
 */
export class PipelineSerializer {
  readonly #socket: Socket;
  /** The first one has its turn. */
  readonly #turns: Turn[] = [];
  /** The request that was parsed last, answered or not. */
  #last: Turn | undefined;
  #paused = false;
  #refused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether every request has been answered. */
  get idle(): boolean {
    return this.#turns.length === 0;
  }

  /** Calls `start` when every request before has been answered; never if one of these responses ends the connection. */
  admit(request: IncomingMessage, response: ServerResponse, start: () => void): void {
    if (this.#ended) return;
    response.once('close', () => this.#next());
    this.#last = { request, response, start };
    this.#push(this.#last);
    if (this.#turns.length > MAX_WAITING) this.#pause();
  }

  /** Calls `start` when every request before has been answered, as {@link admit} does, and waits for no response to it. */
  afterAll(start: () => void): void {
    this.#push({ request: undefined, response: undefined, start });
  }

  /**
   * Has the bytes that follow the last request refused: calls `refuse`, once, when every request before has been answered.
   * If they belong to the body of that request, it is refused in place of its own response, or ends the connection if that
   * has been sent.
   */
  refuseRest(refuse: () => void): void {
    // node:http reports the same for every byte that follows.
    if (this.#refused || this.#ended) return;
    this.#refused = true;
    const last = this.#last;
    if (last?.request?.complete !== false) {
      if (this.#turns.length > 0) this.#socket.pause();
      return this.#push({ request: undefined, response: undefined, start: refuse });
    }
    const place = this.#turns.indexOf(last);
    if (place > 0) last.start = refuse;
    else if (place === 0 && last.response?.headersSent === false) refuse();
    else this.#socket.destroySoon();
  }

  /** Has the next response tell the client that the connection ends with it. */
  end(): void {
    for (const { response } of this.#turns) if (response !== undefined) response.shouldKeepAlive = false;
  }

  /** Whether no response can be sent any more. */
  get #ended(): boolean {
    return this.#socket.destroyed || this.#socket.writableEnded;
  }

  #push(turn: Turn): void {
    this.#turns.push(turn);
    if (this.#turns.length === 1) this.#start();
  }

  /** Continues after the response before has been sent, as they are sent in order, or after the connection has ended. */
  #next(): void {
    this.#turns.shift();
    if (this.#ended) {
      this.#turns.length = 0;
      return;
    }
    if (this.#paused && this.#turns.length <= MAX_WAITING / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.#start();
  }

  #start(): void {
    const turn = this.#turns.at(0);
    if (turn?.response === undefined) this.#turns.shift();
    turn?.start();
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    // At the end of each request in what it has read node:http takes a pause back.
    process.nextTick(() => {
      if (this.#paused) this.#socket.pause();
    });
  }
}
