import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Server, type TLSSocket, type TlsOptions, createServer } from 'node:tls';
import type { ListenerTls } from '../config/settings.ts';
import { unwrittenBytes } from '../net/node-internals/direct-write.ts';
import type { HandshakeFailure } from './handshake-counts.ts';

/**
 * Mozilla's intermediate configuration, version 5.7. The client's order decides: it knows whether it computes AES in hardware.
 * https://wiki.mozilla.org/Security/Server_Side_TLS
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** Seconds for which a session can be resumed; OpenSSL's default is two hours. */
const SESSION_TIMEOUT_S = 300;

/** Milliseconds between two checks for clients that do not read what TLS itself sends. */
const SWEEP_MS = 2000;
/** Bytes that TLS itself may have to send to a client. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/** Errors of OpenSSL for first bytes that are not TLS: a request of HTTP, and anything else. It sends no alert after them. */
const PLAIN_TEXT_CODES: ReadonlySet<string> = new Set([
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
  'ERR_SSL_WRONG_VERSION_NUMBER',
]);

export interface TlsAcceptorOptions {
  readonly tls: ListenerTls;
  /** Keys of session tickets, 48 bytes: the same in all threads, so that each can resume the sessions of the others. */
  readonly ticketKeys: Uint8Array;
  /** Names the listener: sessions of another one are not resumed. */
  readonly sessionContext: string;
  /** Application protocols to negotiate (ALPN); undefined: none. */
  readonly protocols: readonly string[] | undefined;
  readonly handshakeTimeoutMs: number;
  /** @param detail the error code and the address of the client. */
  onFailure(failure: HandshakeFailure, detail: string): void;
}

interface Handshake {
  readonly socket: Socket;
  /** Whether a client may close its sending side after the handshake. */
  readonly allowHalfOpen: boolean;
  readonly onSecure: (secure: TLSSocket) => void;
}

/**
 * Makes the TLS handshakes of a listener. It does not listen itself: the listener passes its connections, so that they are
 * counted and limited before the handshake. Errors of handshakes end the connection and are reported to the options alone.
 */
export class TlsAcceptor {
  readonly #options: TlsAcceptorOptions;
  readonly #server: Server;
  /** Handshakes in progress by the address and port of the client: `node:tls` makes another socket for the connection. */
  readonly #handshakes = new Map<string, Handshake>();
  /** Connections whose handshake has succeeded. */
  readonly #open = new Set<TLSSocket>();
  #plainTextReply: (() => string) | undefined;

  constructor(options: TlsAcceptorOptions) {
    this.#options = options;
    const { tls, ticketKeys, protocols, handshakeTimeoutMs } = options;
    this.#server = createServer({
      ...this.#secureContext(tls, ticketKeys),
      requestCert: tls.clientCa !== undefined,
      rejectUnauthorized: tls.clientCa !== undefined,
      ALPNProtocols: protocols === undefined ? undefined : [...protocols],
      handshakeTimeout: handshakeTimeoutMs,
    });
    this.#server.on('secureConnection', (secure) => this.#onSecure(secure));
    this.#server.on('tlsClientError', (error, secure) => this.#onFailure(error, secure));
    setInterval(() => this.destroyFlooding(), SWEEP_MS).unref();
  }

  /** Uses other certificates, or other keys of session tickets, for the handshakes that begin from now on. */
  replace(tls: ListenerTls, ticketKeys: Uint8Array): void {
    this.#server.setSecureContext(this.#secureContext(tls, ticketKeys));
  }

  /** Sends what `reply` returns to clients that do not use TLS, before their connection is closed. */
  replyToPlainText(reply: () => string): void {
    this.#plainTextReply = reply;
  }

  /** Makes the handshake on a connection, which has not been read from; calls `onSecure` if it succeeds. */
  accept(socket: Socket, onSecure: (secure: TLSSocket) => void): void {
    const client = clientOf(socket);
    // The client has disconnected.
    if (client === undefined) return void socket.destroy();
    // A client that closes its sending side in the handshake has abandoned the connection.
    const { allowHalfOpen } = socket;
    socket.allowHalfOpen = false;
    const handshake = { socket, allowHalfOpen, onSecure };
    this.#handshakes.set(client, handshake);
    socket.once('close', () => {
      if (this.#handshakes.get(client) === handshake) this.#handshakes.delete(client);
    });
    this.#server.emit('connection', socket);
  }

  /** Closes the connections whose handshake has not succeeded yet. */
  destroyHandshakes(): void {
    for (const { socket } of this.#handshakes.values()) socket.destroy();
  }

  /**
   * Destroys connections whose clients request updates of keys (RFC 8446, section 4.6.3) and do not read the replies: OpenSSL
   * writes them to memory without a limit, and they restart the time-outs of a response that waits for the client to read.
   */
  destroyFlooding(): void {
    for (const secure of this.#open) {
      // What the owner has written, at twice its length: encryption makes short writes longer.
      if (unwrittenBytes(secure) > MAX_UNREAD_BYTES + 2 * secure.writableLength) secure.destroy();
    }
  }

  #secureContext({ cert, key, clientCa }: ListenerTls, ticketKeys: Uint8Array): TlsOptions {
    return {
      cert,
      key: key.reveal(),
      ca: clientCa,
      ciphers: CIPHERS,
      honorCipherOrder: false,
      minVersion: 'TLSv1.2',
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      sessionIdContext: this.#options.sessionContext,
      sessionTimeout: SESSION_TIMEOUT_S,
      // A copy: the keys are in memory that the threads share.
      ticketKeys: Buffer.from(ticketKeys),
    };
  }

  #onSecure(secure: TLSSocket): void {
    const client = clientOf(secure);
    const handshake = client === undefined ? undefined : this.#handshakes.get(client);
    if (client === undefined || handshake === undefined) return void secure.destroy();
    this.#handshakes.delete(client);
    secure.allowHalfOpen = handshake.allowHalfOpen;
    // An error of TLS is the end, which Node.js leaves to the owner of the socket; a write in flight would never end.
    const end = (): void => void secure.destroy();
    // A second handshake is a rejected renegotiation: it would stop a write in flight, and the time-outs of the socket.
    secure.on('error', end).on('secure', end);
    this.#open.add(secure);
    secure.once('close', () => this.#open.delete(secure));
    handshake.onSecure(secure);
  }

  #onFailure(error: NodeJS.ErrnoException, secure: TLSSocket): void {
    // Node.js types it as an error, and sets a code.
    const authorizationError = secure.authorizationError as unknown as string | null | undefined;
    const code = authorizationError ?? error.code ?? error.message;
    const failure = authorizationError == null ? failureOf(code) : 'client-certificate';
    this.#options.onFailure(failure, `${code}, client ${secure.remoteAddress ?? 'disconnected'}`);
    if (failure === 'plain-text') this.#sendPlainText(secure);
    secure.destroy();
  }

  /** Sends the reply beneath TLS: Node.js closes the connection after the listeners of its error. */
  #sendPlainText(secure: TLSSocket): void {
    const reply = this.#plainTextReply;
    const handshake = this.#handshakes.get(clientOf(secure) ?? '');
    if (reply !== undefined && handshake?.socket.writable === true) handshake.socket.write(reply());
  }
}

function clientOf({ remoteAddress, remotePort, localAddress }: Socket): string | undefined {
  return remoteAddress === undefined ? undefined : `${remoteAddress} ${remotePort} ${localAddress}`;
}

function failureOf(code: string): HandshakeFailure {
  if (code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') return 'client-certificate';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'timeout';
  if (PLAIN_TEXT_CODES.has(code)) return 'plain-text';
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'closed' : 'protocol';
}
