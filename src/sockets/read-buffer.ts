import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { Views } from './views.ts';

const READ_BYTES = 64 * 1024;

/** What of a socket is used here that `net` sets up itself when it is given the option `onread`. */
interface Reading {
  readonly _handle?: { readonly useUserBuffer?: (buffer: Uint8Array) => void } | null;
  [field: symbol]: unknown;
}

/** What `net` does with the bytes that were read; false: to stop reading. */
type OnRead = (length: number, buffer: Uint8Array) => boolean;

/**
 * One piece of memory into which all sockets of a thread are read, each read being done with when the next one comes.
 * Node.js allocates 64 KiB for each read otherwise, which is a sixth of what it takes to answer a small request.
 *
 * `net` offers this as its option `onread`, but not for sockets that a server has accepted, so what the option does is
 * done here afterwards. Where a version of Node.js has it no more, sockets are read the usual way.
 */
export class ReadBuffer {
  readonly #bytes = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #views = new Views(this.#bytes);

  /** Has `read` called with whatever arrives on a socket. The bytes are gone when it returns. */
  attach(socket: Socket, read: (bytes: Buffer) => void): void {
    const onRead: OnRead = (length) => {
      read(this.#views.of(length));
      return true;
    };
    if (!replaceRead(socket, this.#bytes, onRead)) socket.on('data', read);
    socket.resume();
  }

  /** Has whatever arrives on a socket emitted as `data` again. */
  static detach(socket: Socket, read: (bytes: Buffer) => void): void {
    socket.off('data', read);
    const fields = fieldsOf(socket);
    if (fields === undefined) return;
    // The native side goes on filling the buffer, unless somebody else reads the handle, as node:http does.
    const onRead: OnRead = (length, buffer) => socket.push(Buffer.from(buffer.subarray(0, length)));
    (socket as unknown as Reading)[fields.onRead] = onRead;
  }
}

function replaceRead(socket: Socket, buffer: Uint8Array, onRead: OnRead): boolean {
  const fields = fieldsOf(socket);
  const reading = socket as unknown as Reading;
  const handle = reading._handle;
  if (fields === undefined || typeof handle?.useUserBuffer !== 'function') return false;
  handle.useUserBuffer(buffer);
  reading[fields.buffer] = buffer;
  reading[fields.onRead] = onRead;
  return true;
}

let known: { readonly buffer: symbol; readonly onRead: symbol } | undefined;

/** The fields in which a socket keeps the buffer and the callback of its option `onread`. */
function fieldsOf(socket: Socket): typeof known {
  if (known !== undefined) return known;
  const fields = Object.getOwnPropertySymbols(socket);
  const buffer = fields.find(({ description }) => description === 'kBuffer');
  const onRead = fields.find(({ description }) => description === 'kBufferCb');
  if (buffer !== undefined && onRead !== undefined) known = { buffer, onRead };
  return known;
}
