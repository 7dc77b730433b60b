import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Logger } from '@nestjs/common';
import type { Express } from 'express';
import type { ReadMetrics } from '../../../instance/read-metrics.ts';
import { isFault } from '../../../net/socket-fault.ts';
import { LINGER_MS } from '../../../net/time-limits.ts';
import { allMethods } from '../allowed-methods.ts';
import type { TlsAcceptor } from '../../../tls/tls-acceptor.ts';
import { ClosingConnections } from './closing-connections.ts';
import type { KeyFastPath } from '../../fast-path/key-fast-path.ts';
import { type ParserError, parserProblem } from '../parser-problem.ts';
import { BODY_TOO_LARGE } from '../../request/read-body.ts';
import type { ConnectionLimiter } from '../../../instance/connection-limiter.ts';
import { ProbeAdmission, type ProbeOutcome } from './probe-admission.ts';
import { type Problem, problem } from '../../response/problem.ts';
import { expectationOf, headProblem, isFramingDoubtful } from '../request-rules.ts';
import { PipelineSerializer } from '../pipeline-serializer.ts';
import { withoutUpgrade } from '../upgrade.ts';

const SWEEP_MS = 20;

/** A server of this thread and what its connections need. */
export interface ServerParts {
  /** A server of node:http that does not listen yet. */
  readonly server: Server;
  /** The application whose routes the server serves. */
  readonly app: Express;
  /** Counts the open connections of the server. */
  readonly limit: ConnectionLimiter;
  /** Makes the handshakes of connections; undefined: without TLS. */
  readonly tls: TlsAcceptor | undefined;
  /** Where connections start; undefined: with node:http. */
  readonly fastPath: KeyFastPath | undefined;
  readonly counts: ReadMetrics;
  /** Number of worker threads that listen on the same port. */
  readonly threads: number;
}

/**
 * The connections of one HTTP server of this thread: counts them, rejects those beyond the limit, serves them on the fast path
 * or with node:http, and closes them on shutdown.
 */
export class ServerConnections {
  readonly #server: Server;
  readonly #app: Express;
  readonly #limit: ConnectionLimiter;
  readonly #fastPath: KeyFastPath | undefined;
  readonly #tls: TlsAcceptor | undefined;
  readonly #counts: ReadMetrics;
  /** Lets node:http read a connection. */
  readonly #accept: (socket: Socket) => void;
  /** Lets the application handle a request. */
  readonly #handle: RequestListener;
  readonly #logger = new Logger('HttpConnections');
  readonly #closingConnections = new ClosingConnections();
  /** Connections served by node:http, with their requests in flight. */
  readonly #serializers = new Map<Socket, PipelineSerializer>();
  readonly #probes: ProbeAdmission;
  readonly #beyondLimit: ProbeOutcome = {
    serve: (socket, head) => {
      socket.once('close', () => this.#serializers.delete(socket));
      this.#giveToHttp(socket, head);
    },
    reject: (socket) => this.#closingConnections.rejectWith(socket, TOO_MANY),
  };
  /** Connections that close after the next response. */
  readonly #last = new WeakSet<Socket>();
  #closing = false;
  #closed: Promise<void> = Promise.resolve();

  /** Intercepts the connections and requests of the server. */
  constructor({ server, app, limit, tls, fastPath, counts, threads }: ServerParts) {
    this.#server = server;
    this.#app = app;
    this.#limit = limit;
    this.#fastPath = fastPath;
    this.#tls = tls;
    this.#counts = counts;
    this.#probes = new ProbeAdmission(threads);
    this.#accept = takeListeners<[Socket]>(server, 'connection');
    this.#handle = takeListeners<Parameters<RequestListener>>(server, 'request');
    const onExpectation: RequestListener = (request, response) => this.#onExpectation(request, response);
    server
      .on('connection', (socket: Socket) => this.#onConnection(socket))
      .on('request', (request: IncomingMessage, response: ServerResponse) =>
        this.#admit(request, response, () => this.#handle(request, response)),
      )
      .on('checkContinue', onExpectation)
      .on('checkExpectation', onExpectation)
      .on('clientError', (error: Error & ParserError, socket: Socket) => this.#onClientError(socket, error))
      .on('connect', (request: IncomingMessage, socket: Socket) => this.#onConnect(request, socket))
      // Without a listener node:http ignores the upgrade, but drops the requests that have arrived with it.
      .on('upgrade', (request: IncomingMessage, stream: Duplex, rest: Buffer) =>
        this.#onUpgrade(request, stream, rest),
      );
    tls?.replyToPlainText(() => this.#closingConnections.finalResponse(TLS_REQUIRED));
    fastPath?.open({
      handOver: (socket, received) => this.#giveToHttp(socket, received),
      onHeadersTimeout: (socket) => this.#rejectRest(socket, parserProblem({ code: 'ERR_HTTP_REQUEST_TIMEOUT' })),
    });
  }

  /** Stops accepting connections; existing ones are still served. */
  stopListening(): void {
    const server = this.#server;
    // Not close() of node:http, which would close idle connections although a request may be on its way.
    if (server.listening) this.#closed = new Promise((done) => NetServer.prototype.close.call(server, () => done()));
  }

  /** Closes each connection after its next response. */
  closeAfterNext(): void {
    this.#closing = true;
    this.#fastPath?.close();
    for (const serializer of this.#serializers.values()) serializer.closeAfterNext();
  }

  /**
   * Completes the requests in flight, closes each connection after its last response, and resolves when all are closed.
   *
   * @param lingerMs milliseconds for which idle connections stay open, as a request may be on its way.
   */
  async drain(lingerMs = LINGER_MS): Promise<void> {
    this.closeAfterNext();
    const lingerUntil = performance.now() + lingerMs;
    const sweep = setInterval(() => {
      if (performance.now() >= lingerUntil) this.#destroyIdle();
    }, SWEEP_MS);
    await this.#closed.finally(() => clearInterval(sweep));
  }

  /** Destroys connections without a complete request in flight. */
  #destroyIdle(): void {
    this.#tls?.destroyHandshakes();
    this.#fastPath?.destroyIdle();
    for (const [socket, serializer] of this.#serializers) if (serializer.idle) socket.destroy();
  }

  #onConnection(socket: Socket): void {
    const tls = this.#tls;
    if (!this.#limit.open()) return this.#probes.consider(socket, this.#beyondLimit, tls);
    socket.once('close', () => this.#limit.close());
    const connectedAt = this.#fastPath?.ticks;
    if (tls === undefined) this.#serve(socket, connectedAt);
    else tls.accept(socket, (secure) => this.#serve(secure, connectedAt));
  }

  /** @param connectedAt ticks of the fast path when the client connected. */
  #serve(socket: Socket, connectedAt: number | undefined): void {
    socket.once('close', () => this.#serializers.delete(socket));
    if (this.#fastPath === undefined) this.#giveToHttp(socket);
    else this.#fastPath.accept(socket, connectedAt);
  }

  /** @param received bytes that have been read from the connection already. */
  #giveToHttp(socket: Socket, received?: Buffer): void {
    if (!this.#serializers.has(socket)) this.#serializers.set(socket, new PipelineSerializer(socket));
    this.#accept(socket);
    if (received === undefined) return;
    socket.emit('data', received);
    socket.resume();
  }

  /** Handles the Expect header only after the previous responses: node:http would write the 100 into the body of one. */
  #onExpectation(request: IncomingMessage, response: ServerResponse): void {
    this.#admit(request, response, () => {
      const expectation = expectationOf(request);
      if (expectation === 'unknown') return this.#rejectRequest(request, UNKNOWN_EXPECTATION);
      if (expectation === 'continue') response.writeContinue();
      this.#handle(request, response);
    });
  }

  #onConnect(request: IncomingMessage, socket: Socket): void {
    endOnFailure(socket);
    const methods = allMethods(this.#app);
    const why = headProblem(request) ?? problem('method-not-allowed', 'CONNECT is not supported.');
    this.#rejectRest(socket, why, why.status === 405 ? ['Allow', methods.join(', ')] : []);
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, rest: Buffer): void {
    const { socket } = request;
    const keepOpen = endOnFailure(socket);
    withoutUpgrade(request, stream, rest, (bytes, isLast) => {
      if (bytes === 'too-large') return this.#rejectRest(socket, BODY_TOO_LARGE);
      if (isLast) this.#last.add(socket);
      this.#serializers.get(socket)?.afterAll(() => {
        keepOpen();
        this.#giveToHttp(socket, bytes);
      });
    });
  }

  #admit(request: IncomingMessage, response: ServerResponse, start: () => void): void {
    const { socket } = request;
    const isLast = this.#closing || this.#last.has(socket) || this.#probes.has(socket) || isFramingDoubtful(request);
    if (isLast) response.shouldKeepAlive = false;
    const why = headProblem(request);
    const serializer = this.#serializers.get(request.socket);
    serializer?.admit(request, response, why === undefined ? start : () => this.#rejectRequest(request, why));
  }

  /** Responds with an error and closes the connection, as the bytes that follow may be part of the request. */
  #rejectRequest({ socket, method }: IncomingMessage, why: Problem): void {
    this.#closingConnections.rejectWith(socket, why, { headOnly: method === 'HEAD' });
  }

  /** Responds to bytes that node:http could not parse, or to a request that did not arrive in time. */
  #onClientError(socket: Socket, error: Error & ParserError): void {
    if (isFault(error)) {
      this.#logger.error(error.stack);
      this.#counts.countFailure('http');
    }
    // The previous request had Connection: close.
    if (error.code === 'HPE_CLOSED_CONNECTION') return;
    const isOfClient = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || error.code?.startsWith('HPE_') === true;
    if (isOfClient) this.#rejectRest(socket, parserProblem(error));
    else socket.destroy();
  }

  /** Responds with an error to the bytes behind the last request, and closes the connection. */
  #rejectRest(socket: Socket, why: Problem, headers: readonly string[] = []): void {
    const reject = (): void => this.#closingConnections.rejectWith(socket, why, { headers });
    const serializer = this.#serializers.get(socket);
    if (serializer === undefined) reject();
    else serializer.rejectRest(reject);
  }
}

const TOO_MANY = problem('overloaded', 'Too many connections.');
const TLS_REQUIRED = problem('bad-request', 'This port requires TLS; use https.');
const UNKNOWN_EXPECTATION = problem('expectation-failed', 'Unsupported expectation (only 100-continue).');

/** Removes the listeners of an event, and returns a function that calls them. */
function takeListeners<Arguments extends unknown[]>(
  server: Server,
  event: 'connection' | 'request',
): (...args: Arguments) => void {
  const listeners = server.listeners(event) as ((...args: Arguments) => void)[];
  server.removeAllListeners(event);
  return (...args) => {
    for (const listener of listeners) listener.apply(server, args);
  };
}

/**
 * Destroys a connection that node:http has detached if it fails, or if its client does not read for too long. Returns a
 * function that undoes this.
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
