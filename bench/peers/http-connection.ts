import { type Socket, connect } from 'node:net';
import { connect as connectOverTls } from 'node:tls';

/** A complete response. */
export interface RawResponse {
  readonly status: number;
  /** Status line and headers. */
  readonly head: string;
  readonly body: Buffer;
}

/** Called with the next response, or with undefined if the connection is lost first. */
export type OnResponse = (response: RawResponse | undefined) => void;

/** A minimal client for one request at a time over one keep-alive connection, so that it measures the server, not itself. */
export class HttpConnection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: OnResponse | undefined;

  /** @param isSecure whether to use TLS; the certificate is not verified. */
  constructor(port: number, isSecure = false) {
    const address = { port, host: '127.0.0.1' };
    this.#socket = isSecure
      ? connectOverTls({ ...address, rejectUnauthorized: false })
      : connect({ ...address, noDelay: true });
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#respond(undefined));
  }

  /** Sends a complete request; the previous one must have been completed. */
  request(request: Buffer, onResponse: OnResponse): void {
    this.#waiting = onResponse;
    if (this.#socket.destroyed) this.#respond(undefined);
    else this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    const received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    this.#received = received;
    const endOfHead = received.indexOf('\r\n\r\n');
    if (endOfHead < 0) return;
    const head = received.toString('latin1', 0, endOfHead);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    // Chunked responses are not supported: no contestant sends them.
    if (length === undefined) return this.close();
    const from = endOfHead + 4;
    if (received.length < from + Number(length)) return;
    this.#received = Buffer.alloc(0);
    this.#respond({ status: Number(head.slice(9, 12)), head, body: received.subarray(from, from + Number(length)) });
  }

  #respond(response: RawResponse | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.(response);
  }
}

/** Returns the bytes of a request, as short as wrk's. */
export function requestFor(path: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
}
