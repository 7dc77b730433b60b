import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

/** Connections beyond PROXY_MAX_CONNECTIONS that an instance keeps for health probes. */
const MAX_PROBES = 16;
const MIN_PROBES_PER_THREAD = 2;
/** Milliseconds that such a connection has to send its request. */
const REQUEST_TIMEOUT_MS = 1000;
/** Kubernetes' probes send less than 200 bytes. */
const MAX_HEAD_BYTES = 4096;

const PREFIXES = ['GET /health/', 'HEAD /health/'];
const HEAD_END = '\r\n\r\n';

/** What becomes of a connection beyond the limit. */
export interface ProbeOutcome {
  /** Has its one request, `head`, answered; the connection ends with the response. */
  serve(socket: Socket, head: Buffer): void;
  refuse(socket: Socket): void;
}

/**
 * Admits health probes beyond PROXY_MAX_CONNECTIONS: an instance that is at its limit is not an unhealthy one, and an
 * orchestrator that hears 503 would end it, with its cache. A connection is served if its first request is for a path
 * below /health/, and refused otherwise. A few are held at a time in each thread; when more come, the one that has been
 * silent for longest is refused, so that silent connections keep no probe out.
 */
export class ProbeAdmission {
  readonly #max: number;
  /** All connections that are held. */
  readonly #sockets = new Set<Socket>();
  /** How to refuse those whose request has not arrived, oldest first. */
  readonly #silent = new Map<Socket, () => void>();

  /** @param threads of the instance, which share the connections that are kept for probes. */
  constructor(threads: number) {
    this.#max = Math.max(MIN_PROBES_PER_THREAD, Math.floor(MAX_PROBES / threads));
  }

  /** Whether this connection was admitted for one request. */
  has(socket: Socket): boolean {
    return this.#sockets.has(socket);
  }

  /** Takes a connection beyond the limit. */
  consider(socket: Socket, outcome: ProbeOutcome): void {
    if (this.#sockets.size >= this.#max) {
      const [refuseOldest] = this.#silent.values();
      if (refuseOldest === undefined) return outcome.refuse(socket);
      refuseOldest();
    }
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    this.#await(socket, outcome);
  }

  /** Reads the head of the first request, and decides. */
  #await(socket: Socket, outcome: ProbeOutcome): void {
    let head = '';
    const stop = (): void => {
      clearTimeout(timer);
      this.#silent.delete(socket);
      socket.off('data', onData).off('end', refuse).off('error', onError).off('close', stop);
    };
    const refuse = (): void => {
      stop();
      this.#sockets.delete(socket);
      outcome.refuse(socket);
    };
    const onError = (): void => void socket.destroy();
    const onData = (bytes: Buffer): void => {
      head += bytes.toString('latin1');
      if (!mayBeProbe(head) || head.length > MAX_HEAD_BYTES) return refuse();
      if (!head.includes(HEAD_END)) return;
      stop();
      socket.pause();
      outcome.serve(socket, Buffer.from(head, 'latin1'));
    };
    const timer = setTimeout(refuse, REQUEST_TIMEOUT_MS);
    this.#silent.set(socket, refuse);
    socket.on('data', onData).on('end', refuse).on('error', onError).on('close', stop);
  }
}

function mayBeProbe(head: string): boolean {
  return PREFIXES.some((prefix) => head.startsWith(prefix) || prefix.startsWith(head));
}
