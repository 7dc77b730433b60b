import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { type OnRead, emitReads, readInto } from './node-internals/shared-read.ts';
import { SubarrayCache } from './subarray-cache.ts';

const READ_BYTES = 64 * 1024;

/**
 * Read buffer shared by all sockets of a thread: each read overwrites the previous one. Node.js would allocate 64 KiB for
 * each read, a sixth of the cost of a small request.
 *
 * If shared reads are not in use, sockets emit `data` as usual.
 */
export class SharedReadBuffer {
  readonly #bytes = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #views = new SubarrayCache(this.#bytes);

  /** Calls `read` with the bytes that arrive on a socket; the next read overwrites them. */
  attach(socket: Socket, read: (bytes: Buffer) => void): void {
    const onRead: OnRead = (length) => {
      read(this.#views.of(length));
      return true;
    };
    if (!readInto(socket, this.#bytes, onRead)) socket.on('data', read);
    socket.resume();
  }

  /** Makes a socket emit `data` again. */
  static detach(socket: Socket, read: (bytes: Buffer) => void): void {
    socket.off('data', read);
    emitReads(socket);
  }
}
