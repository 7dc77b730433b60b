import type { Socket } from 'node:net';
import { CLOSE_GRACE_MS } from '../../../net/time-limits.ts';
import { problemResponse } from '../../response/http-response.ts';
import { HttpDate, responseHead } from '../../response/response-head.ts';
import type { Problem } from '../../response/problem.ts';

/** Connections of a thread that linger at the same time; beyond that, connections are closed without a response. */
const MAX_CLOSING_CONNECTIONS = 256;

interface RejectOptions {
  /** Names and values appended to the response's own. */
  readonly headers?: readonly string[];
  /** Whether to omit the body, because the request method was HEAD. */
  readonly headOnly?: boolean;
}

/** Sends a final error response, then closes the socket after a short grace period (lingering close). */
export class ClosingConnections {
  readonly #sockets = new Set<Socket>();
  readonly #date = new HttpDate();

  /** Responds with a problem, and closes the connection. */
  rejectWith(socket: Socket, why: Problem, options: RejectOptions = {}): void {
    socket.on('error', () => socket.destroy());
    if (!socket.writable || this.#sockets.size >= MAX_CLOSING_CONNECTIONS) return void socket.destroy();
    this.#sockets.add(socket);
    // Not the socket's own time-out, which every received byte would postpone.
    const timer = setTimeout(() => socket.destroy(), CLOSE_GRACE_MS);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
    });
    // Closing with unread input would reset the connection, and the client could lose this response and earlier ones.
    socket.removeAllListeners('data').on('data', discard).resume();
    socket.end(this.finalResponse(why, options));
  }

  /** Renders a problem as the last response on a connection. */
  finalResponse(why: Problem, { headers = [], headOnly = false }: RejectOptions = {}): string {
    const response = problemResponse(why, why.status === 503 ? ['Retry-After', '1'] : headers);
    const head = responseHead(response, this.#date.now, { close: true, keepAliveTimeoutMs: 0 });
    return headOnly ? head : head + String(response.body);
  }
}

function discard(): void {
  // The removed listeners include node:http's parser.
}
