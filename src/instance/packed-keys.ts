import { Buffer } from 'node:buffer';

/** Keys that were written, packed by {@link packKeys}; undefined: any key may have been written. */
export type Invalidation = Uint8Array | undefined;

/** Bytes before each key: its length. */
const LENGTH_BYTES = 4;

/** Number of bytes that a key occupies in a pack. */
export function packedBytes({ length }: Uint8Array): number {
  return LENGTH_BYTES + length;
}

/** Packs keys into one piece of memory, because a message to another thread costs time for each object in it. */
export function packKeys(keys: readonly Uint8Array[]): Uint8Array {
  const packed = new Uint8Array(keys.reduce((sum, key) => sum + packedBytes(key), 0));
  const view = new DataView(packed.buffer);
  let at = 0;
  for (const key of keys) {
    view.setUint32(at, key.length);
    packed.set(key, at + LENGTH_BYTES);
    at += packedBytes(key);
  }
  return packed;
}

/** Returns the keys of a pack, which are views of it. */
export function unpackKeys({ buffer, byteOffset, byteLength }: Uint8Array): Buffer[] {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  const keys: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const from = at + LENGTH_BYTES;
    at = from + bytes.readUInt32BE(at);
    keys.push(bytes.subarray(from, at));
  }
  return keys;
}
