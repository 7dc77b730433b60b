import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { type Handle, NOT_UNDER_WAY, type NativeWrite, handleOf, nativeWrite, useUp } from './native-write.ts';

/**
 * The way out for answers. The kernel nearly always takes them at once, so they go past the queue of the stream, whose
 * books of each write cost a twentieth of a hit. What the kernel does not take at once is what this keeps books of: one
 * such write is under way at a time, and whatever is written meanwhile goes to the queue of the stream, behind it. Where a
 * version of Node.js has not what this takes, all goes there: slower, never wrong.
 */
export class Outlet {
  readonly #socket: Socket;
  readonly #drained: () => void;
  /** Bytes of the write past the queue, while the kernel has not taken all of them. */
  #pending = 0;
  /** Of these, what it had not taken when somebody last looked. */
  #left = 0;

  /** @param drained is called when the kernel has taken the rest of a write past the queue. */
  constructor(socket: Socket, drained: () => void) {
    this.#socket = socket;
    this.#drained = drained;
  }

  /** Sends bytes; answers whether their memory may be used again, as the kernel has taken them all. */
  write(bytes: Buffer): boolean {
    const handle = handleOf(this.#socket);
    const write = handle === null || this.length > 0 ? undefined : nativeWrite(handle);
    if (handle === null || write === undefined) {
      this.#socket.write(bytes);
      return this.length === 0;
    }
    const status = handle.writeBuffer(write, bytes);
    if (write.getAsyncId() !== NOT_UNDER_WAY) {
      this.#await(write, bytes, handle);
      return false;
    }
    if (status !== 0) this.#socket.destroy(failure(status));
    return true;
  }

  /** Sends several pieces in one write. */
  writeAll(parts: readonly Buffer[]): void {
    this.#socket.cork();
    for (const part of parts) this.#socket.write(part);
    this.#socket.uncork();
  }

  /** Bytes that were written and that the kernel has not taken. */
  get length(): number {
    return this.#pending + this.#socket.writableLength;
  }

  /** Whether no more should be written until it has drained. */
  get isFull(): boolean {
    return this.#pending > 0 || this.#socket.writableNeedDrain;
  }

  /** Whether the client has read on since this was last asked: the socket's own time-out does not know of our writes. */
  hasMoved(): boolean {
    if (this.#pending === 0) return false;
    const left = handleOf(this.#socket)?.writeQueueSize ?? 0;
    const moved = left !== this.#left;
    this.#left = left;
    return moved;
  }

  #await(write: NativeWrite, bytes: Buffer, handle: Handle): void {
    useUp();
    this.#pending = bytes.length;
    this.#left = handle.writeQueueSize;
    write.bytes = bytes;
    write.oncomplete = (status) => {
      this.#pending = 0;
      if (status < 0) this.#socket.destroy(failure(status));
      else this.#drained();
    };
  }
}

function failure(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code });
}
