import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { type OnRead, emitReads, readInto } from './node-internals/shared-read.ts';
import { SubarrayCache } from './subarray-cache.ts';

const READ_BYTES = 64 * 1024;

/**
 * One piece of memory into which all sockets of a thread are read, each read being done with when the next one comes.
 * Node.js allocates 64 KiB for each read otherwise, which is a sixth of what it takes to answer a small request.
 *
 * Where that is not in use, sockets are read the usual way.
 */
export class SharedReadBuffer {
  readonly #bytes = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #views = new SubarrayCache(this.#bytes);

  /** Has `read` called with whatever arrives on a socket. The bytes are gone when it returns. */
  attach(socket: Socket, read: (bytes: Buffer) => void): void {
    const onRead: OnRead = (length) => {
      read(this.#views.of(length));
      return true;
    };
    if (!readInto(socket, this.#bytes, onRead)) socket.on('data', read);
    socket.resume();
  }

  /** Has whatever arrives on a socket emitted as `data` again. */
  static detach(socket: Socket, read: (bytes: Buffer) => void): void {
    socket.off('data', read);
    emitReads(socket);
  }
}
