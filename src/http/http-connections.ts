import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { Injectable, Logger } from '@nestjs/common';
import { ConnectionCount } from '../cache/connection-count.ts';
import { RequestCounts } from '../cache/request-counts.ts';
import { Settings } from '../config/settings.ts';
import { isFault } from '../sockets/fault.ts';
import { LINGER_MS } from '../sockets/time-limits.ts';
import { Farewells } from './farewells.ts';
import { KeyLane } from './lane/key-lane.ts';
import { ProbeAdmission, type ProbeOutcome } from './probe-admission.ts';
import { type Problem, problem } from './problem.ts';
import { RequestTurns } from './request-turns.ts';

const SWEEP_MS = 20;

/**
 * The HTTP connections of this thread: counts them, turns away those beyond the limit, gives each to the key lane and,
 * when it leaves that, to node:http, and brings them to an end.
 */
@Injectable()
export class HttpConnections {
  readonly #count: ConnectionCount;
  readonly #lane: KeyLane;
  readonly #counts: RequestCounts;
  readonly #logger = new Logger(HttpConnections.name);
  readonly #farewells = new Farewells();
  /** Each connection that node:http has, with the requests on it that are not answered yet. */
  readonly #unanswered = new Map<Socket, RequestTurns>();
  readonly #probes: ProbeAdmission;
  #server: Server | undefined;
  #draining = false;
  #closing = false;
  #closed: Promise<void> = Promise.resolve();
  readonly #drainListeners: (() => void)[] = [];

  constructor(count: ConnectionCount, lane: KeyLane, counts: RequestCounts, { proxy }: Settings) {
    this.#probes = new ProbeAdmission(proxy.threads);
    this.#counts = counts;
    this.#count = count;
    this.#lane = lane;
  }

  /** Whether the proxy is about to end. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Has `end` called when answers that would never be complete by themselves have to be. */
  onDrain(end: () => void): void {
    this.#drainListeners.push(end);
  }

  /** Stands between a server and its connections. */
  attach(server: Server): void {
    this.#server = server;
    const accept = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (!this.#count.open()) return this.#probes.consider(socket, beyondLimit);
      socket.once('close', () => {
        this.#unanswered.delete(socket);
        this.#count.close();
      });
      if (this.#lane.on) this.#lane.take(socket);
      else giveToHttp(socket);
    });
    const giveToHttp = (socket: Socket): void => {
      this.#unanswered.set(socket, new RequestTurns(socket));
      for (const listener of accept) listener.call(server, socket);
    };
    const handOver = (socket: Socket, rest: Buffer): void => {
      giveToHttp(socket);
      socket.emit('data', rest);
      socket.resume();
    };
    const beyondLimit: ProbeOutcome = {
      serve: (socket, head) => {
        socket.once('close', () => this.#unanswered.delete(socket));
        handOver(socket, head);
      },
      refuse: (socket) => this.#farewells.say(socket, TOO_MANY),
    };
    this.#lane.open({
      leave: handOver,
      giveUp: (socket) => this.#refuse(socket, REQUEST_TIMEOUT),
    });
    const handle = server.listeners('request') as RequestListener[];
    const start: RequestListener = (request, response) => {
      for (const listener of handle) listener.call(server, request, response);
    };
    server.removeAllListeners('request');
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#admit(request, response, () => start(request, response)),
    );
    // In its turn: node:http would write the 100 behind the head of the answer before, and break into its body.
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      this.#admit(request, response, () => {
        response.writeContinue();
        start(request, response);
      }),
    );
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#refuse(socket, error));
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
    for (const turns of this.#unanswered.values()) turns.end();
    for (const end of this.#drainListeners) end();
    const lingerUntil = performance.now() + LINGER_MS;
    const sweep = setInterval(() => {
      if (performance.now() >= lingerUntil) this.#cutIdle();
    }, SWEEP_MS);
    await this.#closed.finally(() => clearInterval(sweep));
  }

  /** Ends the connections that nobody has asked anything on, or only a part of it. */
  #cutIdle(): void {
    this.#lane.cutIdle();
    for (const [socket, turns] of this.#unanswered) if (turns.idle) socket.destroy();
  }

  #admit({ socket }: IncomingMessage, response: ServerResponse, start: () => void): void {
    if (this.#closing || this.#probes.has(socket)) response.shouldKeepAlive = false;
    this.#unanswered.get(socket)?.admit(response, start);
  }

  /** Answers what node:http could not make a request of, or not in time. */
  #refuse(socket: Socket, error: NodeJS.ErrnoException): void {
    const { code } = error;
    if (isFault(error)) {
      this.#logger.error(error.stack);
      this.#counts.countFailure('http');
    }
    // node:http says so again for all that comes after it.
    if (this.#farewells.has(socket)) return;
    const answering = Reflect.get(socket, '_httpMessage') as ServerResponse | undefined;
    if (!socket.writable || answering?.headersSent) {
      socket.destroy();
      return;
    }
    this.#farewells.say(socket, REFUSALS.get(code) ?? problem('bad-request', 'The request is no HTTP/1.1.'));
  }
}

const TOO_MANY = problem('overloaded', 'There are too many connections.');

const REQUEST_TIMEOUT = Object.assign(new Error('no request in time'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });

/** Problems by the code of node:http's error. */
const REFUSALS: ReadonlyMap<string | undefined, Problem> = new Map([
  ['HPE_HEADER_OVERFLOW', problem('head-too-large', 'The request line and the headers are too long.')],
  ['ERR_HTTP_REQUEST_TIMEOUT', problem('request-timeout', 'The request did not arrive in time.')],
]);
