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
  readonly #fastPath: KeyFastPath | undefined;
  readonly #tls: TlsAcceptor | undefined;
  readonly #counts: ReadMetrics;
  readonly #logger = new Logger('HttpConnections');
  readonly #closingConnections = new ClosingConnections();
  /** Connections served by node:http, with their requests in flight. */
  readonly #serializers = new Map<Socket, PipelineSerializer>();
  readonly #probes: ProbeAdmission;
  /** Connections that close after the next response. */
  readonly #last = new WeakSet<Socket>();
  #closing = false;
  #closed: Promise<void> = Promise.resolve();

  /** Intercepts the connections and requests of the server. */
  constructor({ server, app, limit, tls, fastPath, counts, threads }: ServerParts) {
    this.#server = server;
    this.#fastPath = fastPath;
    this.#tls = tls;
    this.#counts = counts;
    this.#probes = new ProbeAdmission(threads);
    tls?.replyToPlainText(() => this.#closingConnections.finalResponse(TLS_REQUIRED));
    const accept = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (!limit.open()) return this.#probes.consider(socket, beyondLimit, tls);
      socket.once('close', () => limit.close());
      const connectedAt = fastPath?.ticks;
      if (tls === undefined) serve(socket, connectedAt);
      else tls.accept(socket, (secure) => serve(secure, connectedAt));
    });
    const serve = (socket: Socket, connectedAt: number | undefined): void => {
      socket.once('close', () => this.#serializers.delete(socket));
      if (fastPath === undefined) giveToHttp(socket);
      else fastPath.accept(socket, connectedAt);
    };
    const giveToHttp = (socket: Socket, received?: Buffer): void => {
      if (!this.#serializers.has(socket)) this.#serializers.set(socket, new PipelineSerializer(socket));
      for (const listener of accept) listener.call(server, socket);
      if (received === undefined) return;
      socket.emit('data', received);
      socket.resume();
    };
    const beyondLimit: ProbeOutcome = {
      serve: (socket, head) => {
        socket.once('close', () => this.#serializers.delete(socket));
        giveToHttp(socket, head);
      },
      reject: (socket) => this.#closingConnections.rejectWith(socket, TOO_MANY),
    };
    fastPath?.open({
      handOver: giveToHttp,
      onHeadersTimeout: (socket) => this.#rejectRest(socket, parserProblem({ code: 'ERR_HTTP_REQUEST_TIMEOUT' })),
    });
    const handle = server.listeners('request') as RequestListener[];
    const start: RequestListener = (request, response) => {
      for (const listener of handle) listener.call(server, request, response);
    };
    server.removeAllListeners('request');
    server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#admit(request, response, () => start(request, response)),
    );
    // Only after the previous responses: node:http would write the 100 into the body of one that is being sent.
    const startExpected: RequestListener = (request, response) =>
      this.#admit(request, response, () => {
        const expectation = expectationOf(request);
        if (expectation === 'unknown') return this.#rejectRequest(request, UNKNOWN_EXPECTATION);
        if (expectation === 'continue') response.writeContinue();
        start(request, response);
      });
    server.on('checkContinue', startExpected);
    server.on('checkExpectation', startExpected);
    server.on('clientError', (error: Error & ParserError, socket: Socket) => this.#onClientError(socket, error));
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      endOnFailure(socket);
      const methods = allMethods(app);
      const why = headProblem(request) ?? problem('method-not-allowed', 'CONNECT is not supported.');
      this.#rejectRest(socket, why, why.status === 405 ? ['Allow', methods.join(', ')] : []);
    });
    // Without a listener node:http ignores the upgrade, but drops the requests that have arrived with it.
    server.on('upgrade', (request: IncomingMessage, stream: Duplex, rest: Buffer) => {
      const { socket } = request;
      const keepOpen = endOnFailure(socket);
      withoutUpgrade(request, stream, rest, (bytes, isLast) => {
        if (bytes === 'too-large') return this.#rejectRest(socket, BODY_TOO_LARGE);
        if (isLast) this.#last.add(socket);
        this.#serializers.get(socket)?.afterAll(() => {
          keepOpen();
          giveToHttp(socket, bytes);
        });
      });
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
