import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { Injectable } from '@nestjs/common';
import { ConnectionCount } from '../cache/connection-count.ts';
import { problemAnswer } from './answer.ts';
import { problem } from './problem.ts';

/** Milliseconds a client that is turned away has to take note of it. */
const FAREWELL_MS = 2000;
/** Milliseconds for which connections without a request stay open when the proxy is to end: one may be on its way. */
const LINGER_MS = 1000;
const SWEEP_MS = 20;

/** The HTTP connections of this thread: counts them, turns away those beyond the limit, and brings them to an end. */
@Injectable()
export class HttpConnections {
  readonly #count: ConnectionCount;
  readonly #unanswered = new Set<ServerResponse>();
  #server: Server | undefined;
  #draining = false;
  #closing = false;
  #closed: Promise<void> = Promise.resolve();

  constructor(count: ConnectionCount) {
    this.#count = count;
  }

  /** Whether the proxy is about to end. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Stands between a server and its connections. */
  attach(server: Server): void {
    this.#server = server;
    const accept = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (!this.#count.open()) return turnAway(socket);
      socket.once('close', () => this.#count.close());
      for (const listener of accept) listener.call(server, socket);
    });
    server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => this.#follow(response));
  }

  /** Accepts no more connections; those that there are go on. */
  stopListening(): void {
    const server = this.#server;
    this.#draining = true;
    // Not http's own close: it cuts connections between two requests, one of which may be on its way.
    if (server !== undefined)
      this.#closed = new Promise((done) => NetServer.prototype.close.call(server, () => done()));
  }

  /** Answers what was accepted, tells each client that its connection ends, and ends it. */
  async drain(): Promise<void> {
    this.#closing = true;
    for (const response of this.#unanswered) response.shouldKeepAlive = false;
    const lingerUntil = performance.now() + LINGER_MS;
    const sweep = setInterval(() => {
      if (performance.now() >= lingerUntil) this.#server?.closeIdleConnections();
    }, SWEEP_MS);
    await this.#closed.finally(() => clearInterval(sweep));
  }

  #follow(response: ServerResponse): void {
    if (this.#closing) response.shouldKeepAlive = false;
    this.#unanswered.add(response);
    response.once('close', () => this.#unanswered.delete(response));
  }
}

/** Tells a client that there are too many. */
function turnAway(socket: Socket): void {
  const { status, headers, body } = problemAnswer(problem('overloaded', 'There are too many connections.'), [
    ...['Retry-After', '1', 'Connection', 'close'],
  ]);
  const fields = headers.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('');
  socket.on('error', () => socket.destroy());
  socket.setTimeout(FAREWELL_MS, () => socket.destroy());
  // What the client sends is read and dropped: to close on it unread would take the answer back.
  socket.resume();
  socket.end(`HTTP/1.1 ${status} Service Unavailable\r\n${fields}\r\n${String(body)}`);
}
