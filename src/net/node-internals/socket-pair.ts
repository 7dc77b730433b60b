import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

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
 * @throws Error if there is no loopback interface.
 */
export async function openSocketPair(onReceive: (bytes: Buffer) => void = () => undefined): Promise<SocketPair> {
  for (const host of LOOPBACK) {
    const pair = await openOn(host, onReceive).catch(() => undefined);
    if (pair !== undefined) return pair;
  }
  throw new Error('no loopback interface to probe on');
}

async function openOn(host: string, onReceive: (bytes: Buffer) => void): Promise<SocketPair> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
  try {
    server.listen({ port: 0, host });
    await once(server, 'listening');
    let received = 0;
    const buffer = Buffer.allocUnsafeSlow(PEER_READ_BYTES);
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    const peer = connect({
      host,
      port: (server.address() as AddressInfo).port,
      onread: {
        buffer,
        callback: (length) => {
          received += length;
          onReceive(buffer.subarray(0, length));
          return true;
        },
      },
    });
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
