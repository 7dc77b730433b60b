import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests of one connection that wait for their turn before no more of it is read. */
const MOST_WAITING = 128;

interface Turn {
  readonly response: ServerResponse;
  readonly start: () => void;
}

/**
 * The requests of a connection that node:http has, worked on one after the other. node:http hands over all that it finds,
 * and keeps their answers until they can be sent: a client that asks for much without waiting for answers, or reading
 * them, would have it all made and held at once.
 */
export class RequestTurns {
  readonly #socket: Socket;
  /** The first one has its turn. */
  readonly #turns: Turn[] = [];
  #paused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Whether everything that was asked is answered. */
  get idle(): boolean {
    return this.#turns.length === 0;
  }

  /** Calls `start` when everything that was asked before is answered. */
  admit(response: ServerResponse, start: () => void): void {
    response.once('close', () => this.#next());
    this.#turns.push({ response, start });
    if (this.#turns.length === 1) start();
    else if (this.#turns.length > MOST_WAITING) this.#pause();
  }

  /** Has the next answer tell the client that the connection ends with it. */
  end(): void {
    for (const { response } of this.#turns) response.shouldKeepAlive = false;
  }

  /** The one before has been answered, as answers close in their order, or the connection has. */
  #next(): void {
    this.#turns.shift();
    if (this.#socket.destroyed) {
      this.#turns.length = 0;
      return;
    }
    if (this.#paused && this.#turns.length <= MOST_WAITING / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.#turns.at(0)?.start();
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
