import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

/** A write as the native side of a socket knows it; tells when it is done, should it not be done at once. */
export interface NativeWrite {
  /** {@link NOT_UNDER_WAY} until some of the write had to wait. */
  getAsyncId(): number;
  /** @param status 0, or the negative number of an error. */
  oncomplete?: (status: number) => void;
  /** What is written, which nothing else may keep from being collected. */
  bytes?: Buffer;
}

export const NOT_UNDER_WAY = -1;

/** What of the native side of a socket is used here. */
export interface Handle {
  /** @returns 0, or the negative number of an error. */
  writeBuffer(write: NativeWrite, bytes: Buffer): number;
  readonly writeQueueSize: number;
}

type NativeWriteClass = new () => NativeWrite;

/** Undefined until it is known, null when it is not what is needed. */
let known: NativeWriteClass | null | undefined;
/** Of no write so far, as all that it was used for were done at once. */
let spare: NativeWrite | undefined;

/** Null when the socket is closed. */
export function handleOf(socket: Socket): Handle | null {
  return (socket as unknown as { readonly _handle: Handle | null })._handle;
}

/** One for the next write of this thread, which is to be {@link useUp}d if it is not done at once; undefined: write the usual way. */
export function nativeWrite(handle: Handle): NativeWrite | undefined {
  if (spare !== undefined) return spare;
  if (known === undefined) learnFrom(handle);
  if (known === undefined || known === null) return undefined;
  return (spare = new known());
}

/** The next write is to have another one. */
export function useUp(): void {
  spare = undefined;
}

/**
 * The class of native writes is nowhere to be had, but an object of it is handed over with each write: so the next write
 * that is made the usual way is looked at.
 */
function learnFrom(handle: Handle): void {
  if (typeof handle.writeBuffer !== 'function') return;
  handle.writeBuffer = (write, bytes) => {
    // Only that of this one handle was replaced.
    Reflect.deleteProperty(handle, 'writeBuffer');
    const found = write.constructor as NativeWriteClass;
    known = isUseful(found) ? found : null;
    return handle.writeBuffer(write, bytes);
  };
}

function isUseful(found: NativeWriteClass): boolean {
  const fresh = new found();
  return typeof fresh.getAsyncId === 'function' && fresh.getAsyncId() === NOT_UNDER_WAY;
}
