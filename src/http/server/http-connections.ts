import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Injectable, Logger } from '@nestjs/common';
import { ConnectionLimiter } from '../../instance/connection-limiter.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import type { SelfCheckCache } from '../../cache/self-check-cache.ts';
import { Settings } from '../../config/settings.ts';
import { isFault } from '../../net/socket-fault.ts';
import { LINGER_MS } from '../../net/time-limits.ts';
import { ClosingConnections } from './closing-connections.ts';
import { KeyFastPath } from '../fast-path/key-fast-path.ts';
import { type ParserError, parserProblem } from './parser-problem.ts';
import { MAX_BODY_BYTES } from '../request/read-body.ts';
import { ProbeAdmission, type ProbeOutcome } from './probe-admission.ts';
import { type Problem, problem } from '../response/problem.ts';
import { expectationOf, headProblem, isFramingDoubtful } from './request-rules.ts';
import { PipelineSerializer } from './pipeline-serializer.ts';
import { withoutUpgrade } from './upgrade.ts';

const SWEEP_MS = 20;

/**
 * The HTTP connections of this thread: counts them, turns away those beyond the limit, gives each to the fast path and,
 * when it leaves that, to node:http, and brings them to an end.
 */
@Injectable()
export class HttpConnections {
  readonly #count: ConnectionLimiter;
  readonly #fastPath: KeyFastPath;
  readonly #counts: ReadMetrics;
  readonly #logger = new Logger(HttpConnections.name);
  readonly #farewells = new ClosingConnections();
  /** Each connection that node:http has, with the requests on it that are not answered yet. */
  readonly #unanswered = new Map<Socket, PipelineSerializer>();
  readonly #probes: ProbeAdmission;
  /** Connections that close after the next response. */
  readonly #last = new WeakSet<Socket>();
  #server: Server | undefined;
  #draining = false;
  #closing = false;
  #closed: Promise<void> = Promise.resolve();
  readonly #drainListeners: (() => void)[] = [];

  constructor(count: ConnectionLimiter, fastPath: KeyFastPath, counts: ReadMetrics, { proxy }: Settings) {
    this.#probes = new ProbeAdmission(proxy.threads);
    this.#counts = counts;
    this.#count = count;
    this.#fastPath = fastPath;
  }

  /** Whether the proxy is about to end. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Has `end` called when answers that would never be complete by themselves have to be. */
  onDrain(end: () => void): void {
    this.#drainListeners.push(end);
  }

  /** Returns what serves connections of the self-check as those of clients; undefined when there is no fast path. */
  forSelfCheck(parts: SelfCheckCache): ((socket: Socket) => void) | undefined {
    if (!this.#fastPath.on) return undefined;
    const fastPath = this.#fastPath.withCache(parts);
    return (socket) => fastPath.take(socket);
  }

  /**
   * Stands between a server and its connections.
   *
   * @param methods every method that some route has, for the response to CONNECT.
   */
  attach(server: Server, methods: () => string): void {
    this.#server = server;
    const accept = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (!this.#count.open()) return this.#probes.consider(socket, beyondLimit);
      socket.once('close', () => {
        this.#unanswered.delete(socket);
        this.#count.close();
      });
      if (this.#fastPath.on) this.#fastPath.take(socket);
      else giveToHttp(socket);
    });
    const giveToHttp = (socket: Socket, received?: Buffer): void => {
      if (!this.#unanswered.has(socket)) this.#unanswered.set(socket, new PipelineSerializer(socket));
      for (const listener of accept) listener.call(server, socket);
      if (received === undefined) return;
      socket.emit('data', received);
      socket.resume();
    };
    const beyondLimit: ProbeOutcome = {
      serve: (socket, head) => {
        socket.once('close', () => this.#unanswered.delete(socket));
        giveToHttp(socket, head);
      },
      refuse: (socket) => this.#farewells.say(socket, TOO_MANY),
    };
    this.#fastPath.open({
      leave: giveToHttp,
      giveUp: (socket) => this.#refuseRest(socket, parserProblem({ code: 'ERR_HTTP_REQUEST_TIMEOUT' })),
    });
    const handle = server.listeners('request') as RequestListener[];
    const start: RequestListener = (request, response) => {
      for (const listener of handle) listener.call(server, request, response);
    };
    server.removeAllListeners('request');
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#admit(request, response, () => start(request, response)),
    );
    // In its turn: node:http would write the 100 behind the head of the response before, and break into its body.
    const startExpected: RequestListener = (request, response) =>
      this.#admit(request, response, () => {
        const expectation = expectationOf(request);
        if (expectation === 'unknown') return this.#refuseRequest(request, UNKNOWN_EXPECTATION);
        if (expectation === 'continue') response.writeContinue();
        start(request, response);
      });
    server.on('checkContinue', startExpected);
    server.on('checkExpectation', startExpected);
    server.on('clientError', (error: Error & ParserError, socket: Socket) => this.#refuse(socket, error));
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      endOnFailure(socket);
      const why = headProblem(request) ?? problem('method-not-allowed', 'CONNECT is not supported.');
      this.#refuseRest(socket, why, why.status === 405 ? ['Allow', methods()] : []);
    });
    // Without a listener node:http ignores the upgrade, but drops the requests that have arrived with it.
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, rest: Buffer) => {
      const { socket } = request;
      const keepOpen = endOnFailure(socket);
      withoutUpgrade(request, stream, rest, MAX_BODY_BYTES, (bytes, isLast) => {
        if (bytes === 'too-large') return this.#refuseRest(socket, BODY_TOO_LARGE);
        if (isLast) this.#last.add(socket);
        this.#unanswered.get(socket)?.afterAll(() => {
          keepOpen();
          giveToHttp(socket, bytes);
        });
      });
    });
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
    this.#fastPath.close();
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
    this.#fastPath.cutIdle();
    for (const [socket, turns] of this.#unanswered) if (turns.idle) socket.destroy();
  }

  #admit(request: IncomingMessage, response: ServerResponse, start: () => void): void {
    const { socket } = request;
    const isLast = this.#closing || this.#last.has(socket) || this.#probes.has(socket) || isFramingDoubtful(request);
    if (isLast) response.shouldKeepAlive = false;
    const why = headProblem(request);
    const turns = this.#unanswered.get(request.socket);
    turns?.admit(request, response, why === undefined ? start : () => this.#refuseRequest(request, why));
  }

  /** Answers a request with an error, and ends the connection: what follows may be a part of the request. */
  #refuseRequest({ socket, method }: IncomingMessage, why: Problem): void {
    this.#farewells.say(socket, why, { headOnly: method === 'HEAD' });
  }

  /** Answers what node:http could not parse, or what did not arrive in time. */
  #refuse(socket: Socket, error: Error & ParserError): void {
    if (isFault(error)) {
      this.#logger.error(error.stack);
      this.#counts.countFailure('http');
    }
    // The request before has announced that it is the last one.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    const isOfClient = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || error.code?.startsWith('HPE_') === true;
    if (isOfClient) this.#refuseRest(socket, parserProblem(error));
    else socket.destroy();
  }

  /** Answers with an error in place of what follows the last request, and ends the connection. */
  #refuseRest(socket: Socket, why: Problem, headers: readonly string[] = []): void {
    const say = (): void => this.#farewells.say(socket, why, { headers });
    const turns = this.#unanswered.get(socket);
    if (turns === undefined) say();
    else turns.refuseRest(say);
  }
}

const BODY_TOO_LARGE = problem('body-too-large', `The body exceeds ${MAX_BODY_BYTES} bytes.`);
const TOO_MANY = problem('overloaded', 'Too many connections.');
const UNKNOWN_EXPECTATION = problem('expectation-failed', 'Unsupported expectation (only 100-continue).');

/**
 * Ends a connection that node:http has handed over if it fails, or if its client takes no response for too long. Returns a
 * function that leaves this to node:http again.
 */
function endOnFailure(socket: Socket): () => void {
  const end = (): void => {
    socket.destroy();
  };
  socket.on('error', end).on('timeout', end);
  return () => {
    socket.off('error', end).off('timeout', end);
  };
}
