import type { Socket } from 'node:net';
import { FAREWELL_MS } from '../../net/time-limits.ts';
import { problemResponse } from '../response/http-response.ts';
import { HttpDate, messageHead } from '../response/response-head.ts';
import type { Problem } from '../response/problem.ts';

/** Clients of a thread that are told at the same time; others are cut off without a word. */
const MAX_FAREWELLS = 256;

interface FarewellOptions {
  /** Names and values that stand behind the answer's own. */
  readonly headers?: readonly string[];
  /** Whether the request was HEAD, whose answer has no body. */
  readonly headOnly?: boolean;
}

/** The clients that are told why their connection ends, and have a moment to take note of it. */
export class ClosingConnections {
  readonly #sockets = new Set<Socket>();
  readonly #date = new HttpDate();

  /** Answers a client with a problem, and ends the connection. */
  say(socket: Socket, why: Problem, { headers = [], headOnly = false }: FarewellOptions = {}): void {
    socket.on('error', () => socket.destroy());
    if (!socket.writable || this.#sockets.size >= MAX_FAREWELLS) return void socket.destroy();
    this.#sockets.add(socket);
    // Not the socket's own time-out, which a client can put off by sending a byte now and then.
    const farewell = setTimeout(() => socket.destroy(), FAREWELL_MS);
    socket.once('close', () => {
      clearTimeout(farewell);
      this.#sockets.delete(socket);
    });
    // What the client sends is read and dropped: to close on it unread would take this answer and those before it back.
    socket.removeAllListeners('data').on('data', drop).resume();
    const answer = problemResponse(why, why.status === 503 ? ['Retry-After', '1'] : headers);
    const head = messageHead(answer, this.#date.now, { close: true, keepAliveTimeoutMs: 0 });
    socket.end(headOnly ? head : head + String(answer.body));
  }
}

function drop(): void {
  // No parser is to see it either.
}
