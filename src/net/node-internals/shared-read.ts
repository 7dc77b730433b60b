import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { InternalPart } from '../../internals/internal-part.ts';
import type { ListenerTls } from '../../config/settings.ts';
import { type SocketPair, openSocketPair, openTlsPair } from './socket-pair.ts';
import { waitUntil } from './wait-until.ts';

/** Receives the bytes that were read, at the start of `buffer`; returns false to stop reading. */
export type OnRead = (length: number, buffer: Uint8Array) => boolean;

/** The parts of a socket that `net` sets up for the option `onread`. */
interface Reading {
  readonly _handle?: { useUserBuffer(buffer: Uint8Array): void } | null;
  [field: symbol]: unknown;
}

/** The fields in which a socket keeps the buffer and the callback of its option `onread`. */
interface Fields {
  readonly buffer: symbol;
  readonly onRead: symbol;
}

const PROBE_BYTES = 64;

/** Reads the sockets of a thread into one buffer. `net` has the option `onread` for this, but not for accepted sockets. */
export const sharedRead = new InternalPart('socket-read');

/** Undefined until the probe has found them. */
let fields: Fields | undefined;

/** Makes a socket read into `buffer`; returns false, without an effect, if that is not possible. */
export function readInto(socket: Socket, buffer: Uint8Array, onRead: OnRead): boolean {
  if (fields === undefined || !sharedRead.state.inUse) return false;
  try {
    return useBuffer(socket, fields, buffer, onRead);
  } catch (error) {
    sharedRead.disable(error);
    return false;
  }
}

/**
 * Makes a socket that reads into a buffer emit `data` again. The native handle still fills the buffer, unless another
 * consumer reads the handle, as node:http does.
 */
export function emitReads(socket: Socket): void {
  if (fields === undefined) return;
  const onRead: OnRead = (length, buffer) => socket.push(Buffer.from(buffer.subarray(0, length)));
  (socket as unknown as Reading)[fields.onRead] = onRead;
}

/**
 * Uses shared reads in this thread if they behave as needed on connections of their own; never rejects.
 *
 * @param tls the certificate of a listener; undefined if none uses TLS.
 */
export function probeSharedRead(tls?: ListenerTls): Promise<void> {
  return sharedRead.probe(async () => {
    try {
      await tryReads(await openSocketPair());
      if (tls !== undefined) await tryReads(await openTlsPair(tls));
    } catch (error) {
      fields = undefined;
      throw error;
    }
  });
}

/** @throws Error if a buffer does not receive the bytes. */
async function tryReads({ accepted, peer, destroy }: SocketPair): Promise<void> {
  try {
    fields = fieldsOf(accepted);
    const buffer = Buffer.alloc(PROBE_BYTES);
    let read = '';
    const onRead: OnRead = (length, from) => {
      if (from === buffer) read += from.subarray(0, length).toString();
      return true;
    };
    useBuffer(accepted, fields, buffer, onRead);
    accepted.resume();
    peer.write('into');
    await waitUntil(() => read === 'into', 'bytes read into a buffer');
    emitReads(accepted);
    let emitted = '';
    accepted.on('data', (bytes: Buffer) => (emitted += bytes.toString()));
    peer.write('emitted');
    await waitUntil(() => emitted === 'emitted', 'bytes emitted after that');
    peer.end();
    await waitUntil(() => accepted.readableEnded, 'the end of the bytes');
  } finally {
    destroy();
  }
}

/** Returns whether the socket is open. */
function useBuffer(
  socket: Socket,
  { buffer: field, onRead: callback }: Fields,
  buffer: Uint8Array,
  onRead: OnRead,
): boolean {
  const reading = socket as unknown as Reading;
  const handle = reading._handle;
  if (!handle) return false;
  handle.useUserBuffer(buffer);
  reading[field] = buffer;
  reading[callback] = onRead;
  return true;
}

/** @throws Error if the fields are missing. */
function fieldsOf(socket: Socket): Fields {
  const symbols = Object.getOwnPropertySymbols(socket);
  const buffer = symbols.find(({ description }) => description === 'kBuffer');
  const onRead = symbols.find(({ description }) => description === 'kBufferCb');
  if (buffer === undefined || onRead === undefined) throw new Error('sockets have no kBuffer and kBufferCb');
  return { buffer, onRead };
}
