import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { Injectable } from '@nestjs/common';
import { ConnectionCount } from '../cache/connection-count.ts';
import { FAREWELL_MS, LINGER_MS } from '../sockets/time-limits.ts';
import { problemAnswer } from './answer.ts';
import { KeyLane } from './lane/key-lane.ts';
import { HttpDate, messageHead } from './message.ts';
import { type Problem, problem } from './problem.ts';

const SWEEP_MS = 20;

/**
 * The HTTP connections of this thread: counts them, turns away those beyond the limit, gives each to the key lane and,
 * when it leaves that, to node:http, and brings them to an end.
 */
@Injectable()
export class HttpConnections {
  readonly #count: ConnectionCount;
  readonly #lane: KeyLane;
  /** Each connection that node:http has, with the requests on it that are not answered yet. */
  readonly #unanswered = new Map<Socket, Set<ServerResponse>>();
  #server: Server | undefined;
  #draining = false;
  #closing = false;
  #closed: Promise<void> = Promise.resolve();

  constructor(count: ConnectionCount, lane: KeyLane) {
    this.#count = count;
    this.#lane = lane;
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
      if (!this.#count.open()) return sayFarewell(socket, problem('overloaded', 'There are too many connections.'));
      socket.once('close', () => {
        this.#unanswered.delete(socket);
        this.#count.close();
      });
      if (this.#lane.on) this.#lane.take(socket);
      else giveToHttp(socket);
    });
    const giveToHttp = (socket: Socket): void => {
      this.#unanswered.set(socket, new Set());
      for (const listener of accept) listener.call(server, socket);
    };
    this.#lane.open({
      leave: (socket, rest) => {
        giveToHttp(socket);
        socket.emit('data', rest);
        socket.resume();
      },
      giveUp: (socket) => refuse(socket, { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
    });
    server.prependListener('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#follow(request.socket, response),
    );
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuse(socket, error));
  }

  /** Accepts no more connections; those that there are go on. */
  stopListening(): void {
    const server = this.#server;
    this.#draining = true;
    // Not http's own close: it cuts connections between two requests, one of which may be on its way.
    if (server?.listening) this.#closed = new Promise((done) => NetServer.prototype.close.call(server, () => done()));
  }

  /** Answers what was accepted, tells each client that its connection ends, and ends it. */
  async drain(): Promise<void> {
    this.#closing = true;
    this.#lane.close();
    for (const responses of this.#unanswered.values()) for (const each of responses) each.shouldKeepAlive = false;
    const lingerUntil = performance.now() + LINGER_MS;
    const sweep = setInterval(() => {
      if (performance.now() >= lingerUntil) this.#cutIdle();
    }, SWEEP_MS);
    await this.#closed.finally(() => clearInterval(sweep));
  }

  /** Ends the connections that nobody has asked anything on, or only a part of it. */
  #cutIdle(): void {
    this.#lane.cutIdle();
    for (const [socket, responses] of this.#unanswered) if (responses.size === 0) socket.destroy();
  }

  #follow(socket: Socket, response: ServerResponse): void {
    if (this.#closing) response.shouldKeepAlive = false;
    const responses = this.#unanswered.get(socket);
    responses?.add(response);
    response.once('close', () => responses?.delete(response));
  }
}

/** Answers what node:http could not make a request of, or not in time. */
function refuse(socket: Socket, { code }: Pick<NodeJS.ErrnoException, 'code'>): void {
  const answering = Reflect.get(socket, '_httpMessage') as ServerResponse | undefined;
  if (!socket.writable || answering?.headersSent) {
    socket.destroy();
    return;
  }
  sayFarewell(socket, REFUSALS.get(code) ?? problem('bad-request', 'The request is no HTTP/1.1.'));
}

/** Problems by the code of node:http's error. */
const REFUSALS: ReadonlyMap<string | undefined, Problem> = new Map([
  ['HPE_HEADER_OVERFLOW', problem('head-too-large', 'The request line and the headers are too long.')],
  ['ERR_HTTP_REQUEST_TIMEOUT', problem('request-timeout', 'The request did not arrive in time.')],
]);

/** Answers a client with a problem, and ends the connection. */
function sayFarewell(socket: Socket, why: Problem): void {
  const retry = why.status === 503 ? ['Retry-After', '1'] : [];
  // Not the socket's own time-out, which a client can put off by sending a byte now and then.
  const farewell = setTimeout(() => socket.destroy(), FAREWELL_MS);
  socket.once('close', () => clearTimeout(farewell)).on('error', () => socket.destroy());
  // What the client sends is read and dropped: to close on it unread would take the answer back.
  socket.resume();
  const answer = problemAnswer(why, retry);
  socket.end(messageHead(answer, DATE.now, { close: true, keepAliveTimeoutMs: 0 }) + String(answer.body));
}

const DATE = new HttpDate();
