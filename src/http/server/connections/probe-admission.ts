import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { TlsAcceptor } from '../../../tls/tls-acceptor.ts';

/** Connections beyond PROXY_MAX_CONNECTIONS that an instance accepts for health probes. */
const MAX_PROBES = 16;
const MIN_PROBES_PER_THREAD = 2;
/** Milliseconds within which such a connection must send its request. */
const REQUEST_TIMEOUT_MS = 1000;
/** The probes of Kubernetes send less than 200 bytes. */
const MAX_HEAD_BYTES = 4096;

const PREFIXES = ['GET /health/', 'HEAD /health/'];
const HEAD_END = '\r\n\r\n';

/** The two possible outcomes for a connection beyond the limit. */
export interface ProbeOutcome {
  /** Serves its one request, `head`, and closes the connection after the response. */
  serve(socket: Socket, head: Buffer): void;
  reject(socket: Socket): void;
}

/**
 * Admits health probes beyond PROXY_MAX_CONNECTIONS: an instance at its limit is not unhealthy, and an orchestrator that
 * receives 503 would restart it with an empty cache. A connection is served if its first request is for a path below
 * /health/, and rejected otherwise. The number of waiting connections per thread is limited; a further one replaces the
 * one that has been silent for longest, so that silent connections cannot block probes.
 */
export class ProbeAdmission {
  readonly #max: number;
  /** All connections beyond the limit. */
  readonly #sockets = new Set<Socket>();
  /** Functions that reject the connections without a complete request, oldest first. */
  readonly #silent = new Map<Socket, () => void>();

  /** @param threads number of threads, which share the connections for probes. */
  constructor(threads: number) {
    this.#max = Math.max(MIN_PROBES_PER_THREAD, Math.floor(MAX_PROBES / threads));
  }

  /** Whether this connection was admitted for one request. */
  has(socket: Socket): boolean {
    return this.#sockets.has(socket);
  }

  /** Decides whether a connection beyond the limit may send one probe. @param tls makes its handshake before that; undefined: without TLS. */
  consider(socket: Socket, outcome: ProbeOutcome, tls: TlsAcceptor | undefined): void {
    if (this.#sockets.size >= this.#max) {
      const [rejectOldest] = this.#silent.values();
      if (rejectOldest === undefined) return tls === undefined ? outcome.reject(socket) : void socket.destroy();
      rejectOldest();
    }
    if (tls === undefined) return this.#admit(socket, outcome);
    this.#shakeHands(socket, tls, (secure) => this.#admit(secure, outcome));
  }

  /** Makes the TLS handshake within the time of a probe. */
  #shakeHands(socket: Socket, tls: TlsAcceptor, onSecure: (secure: Socket) => void): void {
    const reject = (): void => void socket.destroy();
    const stop = (): void => {
      clearTimeout(timer);
      this.#silent.delete(socket);
      this.#sockets.delete(socket);
    };
    const timer = setTimeout(reject, REQUEST_TIMEOUT_MS);
    this.#sockets.add(socket);
    this.#silent.set(socket, reject);
    socket.once('close', stop);
    tls.accept(socket, (secure) => {
      stop();
      onSecure(secure);
    });
  }

  #admit(socket: Socket, outcome: ProbeOutcome): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#await(socket, outcome);
  }

  /** Reads the first request, then serves or rejects the connection. */
  #await(socket: Socket, outcome: ProbeOutcome): void {
    let head = '';
    const stop = (): void => {
      clearTimeout(timer);
      this.#silent.delete(socket);
      socket.off('data', onData).off('end', reject).off('error', onError).off('close', stop);
    };
    const reject = (): void => {
      stop();
      this.#sockets.delete(socket);
      outcome.reject(socket);
    };
    const onError = (): void => void socket.destroy();
    const onData = (bytes: Buffer): void => {
      head += bytes.toString('latin1');
      if (!mayBeProbe(head) || head.length > MAX_HEAD_BYTES) return reject();
      if (!head.includes(HEAD_END)) return;
      stop();
      socket.pause();
      outcome.serve(socket, Buffer.from(head, 'latin1'));
    };
    const timer = setTimeout(reject, REQUEST_TIMEOUT_MS);
    this.#silent.set(socket, reject);
    socket.on('data', onData).on('end', reject).on('error', onError).on('close', stop);
  }
}

function mayBeProbe(head: string): boolean {
  return PREFIXES.some((prefix) => head.startsWith(prefix) || prefix.startsWith(head));
}
