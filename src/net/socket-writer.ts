import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
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
/** Bytes of one write over TLS that are not counted as buffered until they are sent: OpenSSL has them encrypted at once. */
const MAX_UNCOUNTED_BYTES = 16 * 1024;

/**
 * Writes responses directly to the socket handle, bypassing the stream's write queue, whose bookkeeping costs a twentieth
 * of a hit. At most one direct write is pending; writes during that time go to the stream's queue, behind it. If direct
 * writes are not in use, all writes go there: slower, with the same result. So do all writes over TLS, which `node:tls`
 * completes later in any case.
 */
export class SocketWriter {
  readonly #socket: Socket;
  readonly #memory: BufferAccounting;
  readonly #onDrain: () => void;
  /** Whether the connection uses TLS. */
  readonly isEncrypted: boolean;
  /** Length of the pending direct write; 0 if there is none. */
  #pending = 0;
  /** Unsent bytes of the pending direct write at the last {@link hasProgressed}. */
  #unsent = 0;
  /** Memory of each write in the stream's queue, until the write has completed. */
  readonly #queued: (readonly ArrayBufferLike[])[] = [];
  readonly #written = (): void => {
    for (const memory of this.#queued.shift() ?? NO_MEMORY) this.#memory.release(memory);
  };

  /**
   * @param memory counts the memory of bytes that were written but not sent.
   * @param onDrain called when a pending direct write has completed.
   */
  constructor(socket: Socket, memory: BufferAccounting, onDrain: () => void) {
    this.#socket = socket;
    this.#memory = memory;
    this.#onDrain = onDrain;
    this.isEncrypted = socket instanceof TLSSocket;
  }

  /** Sends bytes; returns true if all were handed to the kernel, so that their memory may be reused. */
  write(bytes: Buffer): boolean {
    if (this.isEncrypted) return this.#encrypt(bytes);
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

  /** Writes a copy of the bytes, whose memory is shared and would have to be replaced for each write. */
  #encrypt(bytes: Buffer): true {
    const isCounted = this.length > 0 || bytes.length > MAX_UNCOUNTED_BYTES;
    if (isCounted) this.writeAll([Buffer.from(bytes)]);
    else this.#socket.write(Buffer.from(bytes));
    return true;
  }

  #queue(bytes: Buffer): boolean {
    this.writeAll([bytes]);
    return this.length === 0;
  }

  /** Sends several buffers with one write. */
  writeAll(parts: readonly Buffer[]): void {
    if (parts.length === 0) return;
    const last = parts.length - 1;
    this.#socket.cork();
    parts.forEach((part, index) => this.#socket.write(part, index === last ? this.#written : undefined));
    this.#socket.uncork();
    const unsent = this.length > 0 ? parts.map(({ buffer }) => buffer) : NO_MEMORY;
    for (const memory of unsent) this.#memory.hold(memory);
    this.#queued.push(unsent);
  }

  /** Bytes that were written but not handed to the kernel. */
  get length(): number {
    return this.#pending + this.#socket.writableLength;
  }

  /** Whether writing should pause until the next drain. */
  get isFull(): boolean {
    return this.#pending > 0 || this.#socket.writableNeedDrain;
  }

  /** Whether a pending direct write has progressed since the last call; the socket's own time-out does not see these writes. */
  hasProgressed(): boolean {
    if (this.#pending === 0) return false;
    const unsent = unwrittenBytes(this.#socket);
    const moved = unsent !== this.#unsent;
    this.#unsent = unsent;
    return moved;
  }

  #await(write: PendingWrite, bytes: Buffer, handle: SocketHandle): void {
    this.#memory.hold(bytes.buffer);
    this.#pending = bytes.length;
    this.#unsent = handle.writeQueueSize;
    onWritten(write, bytes, (status) => {
      this.#pending = 0;
      this.#memory.release(bytes.buffer);
      if (status < 0) this.#socket.destroy(failure(status));
      else this.#onDrain();
    });
  }
}

function failure(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { code });
}
