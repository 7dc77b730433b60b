import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { TLSSocket } from 'node:tls';
import { getSystemErrorName } from 'node:util';
import type { BufferAccounting } from './buffer-accounting.ts';
import { StreamGate } from './node-internals/stream-gate.ts';
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
 * Longest direct write over TLS, the length of a TLS record. Its bytes are not counted as buffered until they are sent: they
 * are encrypted at once, in memory of OpenSSL.
 */
const MAX_DIRECT_TLS_BYTES = 16 * 1024;

/**
 * Writes responses directly to the socket handle, bypassing the stream's write queue, whose bookkeeping costs a twentieth
 * of a hit. At most one direct write is pending; writes during that time go to the stream's queue, behind it. If direct
 * writes are not in use, all writes go there: slower, with the same result.
 *
 * Over TLS every direct write is pending until the next turn of the event loop, but its memory may be reused immediately.
 */
export class SocketWriter {
  readonly #socket: Socket;
  readonly #memory: BufferAccounting;
  readonly #onDrain: () => void;
  /** Undefined unless the connection uses TLS. */
  readonly #gate: StreamGate | undefined;
  /** Length of the pending direct write; 0 if there is none. */
  #pending = 0;
  /** Unsent bytes of the pending direct write at the last {@link hasProgressed}. */
  #unsent = 0;
  /** Memory of each write in the stream's queue, until the write has completed. */
  readonly #queued: (readonly ArrayBufferLike[])[] = [];
  readonly #encrypted = (status: number): void => {
    this.#pending = 0;
    this.#gate?.open();
    if (status < 0) this.#socket.destroy(failure(status));
  };
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
    this.#gate = socket instanceof TLSSocket ? new StreamGate(socket) : undefined;
  }

  /** Sends bytes; returns true if all were handed to the kernel, so that their memory may be reused. */
  write(bytes: Buffer): boolean {
    if (this.#gate !== undefined) return this.#encrypt(bytes, this.#gate);
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

  /** Sends bytes over TLS, and leaves their memory to the caller. */
  #encrypt(bytes: Buffer, gate: StreamGate): true {
    const isDirect = bytes.length <= MAX_DIRECT_TLS_BYTES && this.length === 0 && gate.acceptsDirectWrite;
    const handle = isDirect ? handleForWrite(this.#socket) : null;
    if (handle === null) {
      this.writeAll([Buffer.from(bytes)]);
      return true;
    }
    let result: DirectWriteResult;
    try {
      result = writeDirectly(handle, bytes);
    } catch (error) {
      disableDirectWrite(error);
      this.writeAll([Buffer.from(bytes)]);
      return true;
    }
    if (typeof result === 'object') {
      this.#pending = bytes.length;
      gate.close();
      onWritten(result, bytes, this.#encrypted);
    } else {
      // Over TLS no write is complete at once: its failure has been reported to a request that nobody has.
      this.#socket.destroy(failure(result === 0 ? -constants.errno.EPIPE : result));
    }
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

  /** Whether the connection uses TLS. */
  get isEncrypted(): boolean {
    return this.#gate !== undefined;
  }

  /** Whether writing should pause until the next drain. */
  get isFull(): boolean {
    return (this.#pending > 0 && this.#gate === undefined) || this.#socket.writableNeedDrain;
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
