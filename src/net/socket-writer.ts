import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { BufferAccounting } from './buffer-accounting.ts';
import {
  type DirectWriteResult,
  type PendingWrite,
  type SocketHandle,
  disableDirectWrite,
  handleForWrite,
  onWritten,
  unwrittenBytes,
  writeDirectly,
} from './node-internals/direct-write.ts';

const NO_MEMORY: readonly ArrayBufferLike[] = [];

/**
 * Writes the responses of a connection. The kernel nearly always takes them at once, so they are written directly, past the
 * queue of the stream, whose bookkeeping costs a twentieth of a hit. At most one direct write is pending at a time; whatever
 * is written meanwhile goes to the queue of the stream, behind it. Where direct writes are not in use all goes there:
 * slower, never different.
 */
export class SocketWriter {
  readonly #socket: Socket;
  readonly #memory: BufferAccounting;
  readonly #drained: () => void;
  /** Bytes of the write past the queue, while the kernel has not taken all of them. */
  #pending = 0;
  /** Of these, what it had not taken when somebody last looked. */
  #left = 0;
  /** For each write to the queue, the memory that it keeps until it is done. */
  readonly #queued: (readonly ArrayBufferLike[])[] = [];
  readonly #written = (): void => {
    for (const memory of this.#queued.shift() ?? NO_MEMORY) this.#memory.release(memory);
  };

  /**
   * @param memory counts what was written and the kernel has not taken.
   * @param drained is called when the kernel has taken the rest of a write past the queue.
   */
  constructor(socket: Socket, memory: BufferAccounting, drained: () => void) {
    this.#socket = socket;
    this.#memory = memory;
    this.#drained = drained;
  }

  /** Sends bytes; returns whether their memory may be used again, as the kernel has taken them all. */
  write(bytes: Buffer): boolean {
    const handle = this.length > 0 ? null : handleForWrite(this.#socket);
    if (handle === null) return this.#queue(bytes);
    let result: DirectWriteResult;
    try {
      result = writeDirectly(handle, bytes);
    } catch (error) {
      disableDirectWrite(error);
      return this.#queue(bytes);
    }
    if (result === 0) return true;
    if (typeof result === 'number') {
      this.#socket.destroy(failure(result));
      return true;
    }
    this.#await(result, bytes, handle);
    return false;
  }

  #queue(bytes: Buffer): boolean {
    this.writeAll([bytes]);
    return this.length === 0;
  }

  /** Sends several pieces in one write. */
  writeAll(parts: readonly Buffer[]): void {
    if (parts.length === 0) return;
    const last = parts.length - 1;
    this.#socket.cork();
    parts.forEach((part, index) => this.#socket.write(part, index === last ? this.#written : undefined));
    this.#socket.uncork();
    const kept = this.length > 0 ? parts.map(({ buffer }) => buffer) : NO_MEMORY;
    for (const memory of kept) this.#memory.hold(memory);
    this.#queued.push(kept);
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
    const left = unwrittenBytes(this.#socket);
    const moved = left !== this.#left;
    this.#left = left;
    return moved;
  }

  #await(write: PendingWrite, bytes: Buffer, handle: SocketHandle): void {
    this.#memory.hold(bytes.buffer);
    this.#pending = bytes.length;
    this.#left = handle.writeQueueSize;
    onWritten(write, bytes, (status) => {
      this.#pending = 0;
      this.#memory.release(bytes.buffer);
      if (status < 0) this.#socket.destroy(failure(status));
      else this.#drained();
    });
  }
}

function failure(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code });
}
