import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { InternalPart } from '../../internals/internal-part.ts';
import type { ListenerTls } from '../../config/settings.ts';
import { openSocketPair, openTlsPair, type SocketPair } from './socket-pair.ts';
import { StreamGate } from './stream-gate.ts';
import { waitUntil } from './wait-until.ts';

/** A write that the kernel has not completed immediately. */
export interface PendingWrite {
  /** {@link NOT_PENDING} unless the write is in flight. */
  getAsyncId(): number;
  /** Called when the write has ended. @param status 0, or the negative number of an error. */
  oncomplete?: ((status: number) => void) | null;
  /** A status that was known before `oncomplete` could be set. */
  writeStatus?: number | null;
  /** A reference to the bytes, so that they are not garbage-collected. */
  bytes?: unknown;
}

/** The parts of a socket's native handle that are used here. */
export interface SocketHandle {
  writeBuffer(request: PendingWrite | null, bytes: Buffer): number | PendingWrite | undefined;
  /** Unsent bytes of pending writes. */
  readonly writeQueueSize: number;
}

/** The result of a direct write: 0 if the kernel has accepted all bytes, the negative number of an error, or a pending write. */
export type DirectWriteResult = number | PendingWrite;

/**
 * How `node:net` hands a write to the handle: with a request object of its own, or with null, in which case the handle makes
 * one if it needs it (24.22.1, 26.10 and newer).
 */
type WriteForm = 'request' | 'null';
type WriteRequestClass = new () => PendingWrite;

const NOT_PENDING = -1;
/** UV_EOF of libuv, the same on all platforms: the stream has ended. */
const CLOSED = -4095;

const CHUNK_BYTES = 2 ** 20;
/** More chunks than any kernel buffers for a client that does not read. */
const MAX_CHUNKS = 256;

/** Writes responses to the handle of a socket, bypassing the queue of its stream. */
export const directWrite = new InternalPart('socket-write');

/** Undefined if direct writes are not in use. */
let form: WriteForm | undefined;
let RequestClass: WriteRequestClass | undefined;
/** A reusable request: all writes with it have completed immediately. */
let pooled: PendingWrite | undefined;

/** Returns the handle to write to; null if the socket is closed, or direct writes are not in use. */
export function handleForWrite(socket: Socket): SocketHandle | null {
  return form === undefined ? null : handleOf(socket);
}

/**
 * Returns the number of unsent bytes of pending direct writes; over TLS, all encrypted bytes that the kernel has not accepted. 0 if
 * direct writes are not in use.
 */
export function unwrittenBytes(socket: Socket): number {
  return handleForWrite(socket)?.writeQueueSize ?? 0;
}

/**
 * Writes bytes to a socket whose stream has nothing queued.
 *
 * @throws unknown if the handle does not behave as it did when probed; no byte has been written then.
 */
export function writeDirectly(handle: SocketHandle, bytes: Buffer): DirectWriteResult {
  if (form === 'null') return handle.writeBuffer(null, bytes) ?? CLOSED;
  const request = (pooled ??= newRequest());
  const status = handle.writeBuffer(request, bytes) as number;
  if (request.getAsyncId() === NOT_PENDING) return status;
  pooled = undefined;
  return request;
}

/** Calls `done` once, with 0 or the negative number of an error, when a pending write has ended. */
export function onWritten(pending: PendingWrite, bytes: Buffer, done: (status: number) => void): void {
  pending.bytes = bytes;
  pending.oncomplete = done;
  // A write that could not be started never completes.
  if (pending.getAsyncId() === NOT_PENDING) done(CLOSED);
  else if (typeof pending.writeStatus === 'number') done(pending.writeStatus);
}

/** Stops direct writes in this thread. */
export function disableDirectWrite(reason: unknown): void {
  form = undefined;
  directWrite.disable(reason);
}

/**
 * Uses direct writes in this thread if they behave as needed on connections of their own; never rejects.
 *
 * @param tls the certificate of a listener; undefined if none uses TLS.
 */
export function probeDirectWrite(tls?: ListenerTls): Promise<void> {
  return directWrite.probe(async () => {
    const pair = await openSocketPair();
    try {
      form = await observeForm(pair);
      await tryWrites(pair);
      if (tls !== undefined) await tryTlsWrites(tls);
    } catch (error) {
      form = undefined;
      throw error;
    } finally {
      pair.destroy();
    }
  });
}

/**
 * Finds out how `node:net` itself writes. A form that Node.js does not have must not be tried: it aborts the process.
 *
 * @throws Error if it is neither of the two.
 */
async function observeForm({ accepted, received }: SocketPair): Promise<WriteForm> {
  const handle = handleOf(accepted);
  if (typeof handle?.writeBuffer !== 'function') throw new Error('sockets have no writeBuffer');
  const seen: unknown[] = [];
  handle.writeBuffer = (request, bytes) => {
    seen.push(request);
    // Uncovers the method of the prototype.
    Reflect.deleteProperty(handle, 'writeBuffer');
    return handle.writeBuffer(request, bytes);
  };
  accepted.write(Buffer.from('a'));
  await waitUntil(() => received() === 1, 'a byte written by the stream');
  const [request] = seen;
  if (request === null) return 'null';
  if (typeof request !== 'object') throw new Error('writes of node:net have an unknown form');
  RequestClass = request.constructor as WriteRequestClass;
  pooled = newRequest();
  return 'request';
}

/** @throws Error if writes that complete at once, or later, do not do what is needed. */
async function tryWrites({ accepted, peer, received }: SocketPair): Promise<void> {
  const handle = handleOf(accepted);
  if (handle === null) throw new Error('the connection has ended');
  if (writeDirectly(handle, Buffer.from('b')) !== 0) throw new Error('one byte was not written immediately');
  await waitUntil(() => received() === 2, 'a byte written directly');
  peer.pause();
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let result: DirectWriteResult = 0;
  let sent = 2;
  for (let chunks = 0; chunks < MAX_CHUNKS && result === 0; chunks++, sent += chunk.length) {
    result = writeDirectly(handle, chunk);
    // The kernel may have accepted the rest of a write that was pending for a moment.
    if (typeof result === 'object' && handle.writeQueueSize === 0) result = await ended(result, chunk);
  }
  if (typeof result !== 'object' || typeof result.getAsyncId !== 'function')
    throw new Error('no write is ever pending');
  if (typeof handle.writeQueueSize !== 'number') throw new Error('a pending write has no length');
  const statuses: number[] = [];
  onWritten(result, chunk, (status) => statuses.push(status));
  if (statuses.length > 0) throw new Error('a pending write ends immediately');
  peer.resume();
  await waitUntil(() => statuses[0] === 0 && received() === sent, 'the end of a pending write');
}

function ended(pending: PendingWrite, bytes: Buffer): Promise<number> {
  return new Promise((resolve) => onWritten(pending, bytes, resolve));
}

/** @throws Error if a direct write over TLS needs its memory afterwards, does not complete, or is not followed by the stream's. */
async function tryTlsWrites(tls: ListenerTls): Promise<void> {
  let received = '';
  const { accepted, destroy } = await openTlsPair(tls, (bytes) => (received += bytes.toString()));
  try {
    const handle = handleOf(accepted);
    if (handle === null) throw new Error('the connection has ended');
    const gate = new StreamGate(accepted);
    let completed = 0;
    for (const [first, second] of ['ab', 'cd']) {
      const bytes = Buffer.from(first);
      const result = writeDirectly(handle, bytes);
      if (typeof result !== 'object') throw new Error('a write over TLS is not pending');
      gate.close();
      bytes.fill('-');
      onWritten(result, bytes, (status) => {
        if (status === 0) completed++;
        gate.open();
      });
      accepted.write(second);
      const expected = received + first + second;
      await waitUntil(() => received === expected && gate.acceptsDirectWrite, 'bytes written directly over TLS');
    }
    if (completed !== 2) throw new Error('a write over TLS has failed');
  } finally {
    destroy();
  }
}

function newRequest(): PendingWrite {
  if (RequestClass === undefined) throw new Error('there is no class of write requests');
  const request = new RequestClass();
  if (request.getAsyncId() !== NOT_PENDING) throw new Error('a new write request is pending');
  return request;
}

function handleOf(socket: Socket): SocketHandle | null {
  return (socket as unknown as { readonly _handle?: SocketHandle | null })._handle ?? null;
}
