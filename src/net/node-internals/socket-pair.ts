import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { type TLSSocket, connect as connectTls, createServer as createTlsServer } from 'node:tls';
import type { ListenerTls } from '../../config/settings.ts';

const LOOPBACK = ['127.0.0.1', '::1'];
const PEER_READ_BYTES = 64 * 1024;

/** A TCP connection of this process to itself, for probes of private parts of Node.js. */
export interface SocketPair {
  /** The side that a server has accepted, like the sockets of clients. */
  readonly accepted: Socket;
  readonly peer: Socket;
  /** Bytes that the peer has received. */
  readonly received: () => number;
  readonly destroy: () => void;
}

/**
 * @param onReceive called with the bytes that the peer receives; the bytes are overwritten when it returns.
 * @param readsPeer whether the peer is read.
 * @throws Error if there is no loopback interface.
 */
export async function openSocketPair(
  onReceive: (bytes: Buffer) => void = () => undefined,
  readsPeer = true,
): Promise<SocketPair> {
  for (const host of LOOPBACK) {
    const pair = await openOn(host, onReceive, readsPeer).catch(() => undefined);
    if (pair !== undefined) return pair;
  }
  throw new Error('no loopback interface to probe on');
}

/**
 * Makes such a connection with TLS.
 *
 * @param onReceive called with the bytes that the peer receives.
 * @throws Error if there is no loopback interface, or the handshake fails.
 */
export async function openTlsPair(
  { cert, key }: ListenerTls,
  onReceive: (bytes: Buffer) => void = () => undefined,
): Promise<SocketPair> {
  // TLS reads the peer itself.
  const { accepted: raw, peer: rawPeer, destroy } = await openSocketPair(undefined, false);
  try {
    const server = createTlsServer({ cert, key: key.reveal() });
    const failed = once(server, 'tlsClientError').then(([error]) => {
      throw error as Error;
    });
    const secured = once(server, 'secureConnection') as Promise<[TLSSocket]>;
    server.emit('connection', raw);
    // The certificate is not for this address.
    const peer = connectTls({ socket: rawPeer, rejectUnauthorized: false });
    let received = 0;
    peer.on('data', (bytes: Buffer) => {
      received += bytes.length;
      onReceive(bytes);
    });
    const [[accepted]] = await Promise.all([Promise.race([secured, failed]), once(peer, 'secureConnect')]);
    for (const each of [accepted, peer]) each.on('error', () => each.destroy());
    return { accepted, peer, received: () => received, destroy };
  } catch (error) {
    destroy();
    throw error;
  }
}

async function openOn(host: string, onReceive: (bytes: Buffer) => void, readsPeer: boolean): Promise<SocketPair> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  try {
    server.listen({ port: 0, host });
    await once(server, 'listening');
    let received = 0;
    const buffer = Buffer.allocUnsafeSlow(PEER_READ_BYTES);
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const callback = (length: number): true => {
      received += length;
      onReceive(buffer.subarray(0, length));
      return true;
    };
    const { port } = server.address() as AddressInfo;
    const peer = connect({ host, port, ...(readsPeer ? { onread: { buffer, callback } } : {}) });
    const [[socket]] = await Promise.all([accepted, once(peer, 'connect')]);
    for (const each of [socket, peer]) each.on('error', () => each.destroy());
    const destroy = (): void => [socket, peer].forEach((each) => each.destroy());
    if (socket.remotePort !== peer.localPort) {
      destroy();
      throw new Error('another process has connected');
    }
    return { accepted: socket, peer, received: () => received, destroy };
  } finally {
    server.close();
  }
}
