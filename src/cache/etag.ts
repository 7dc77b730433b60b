import { hash } from 'node:crypto';

/** A strong validator: the first 96 bits of the SHA-256 of a value, as three 32-bit words. */
export type Etag = readonly [number, number, number];

/** Hashes a value; done once, when it is loaded. */
export function etagOf(value: Uint8Array): Etag {
  const digest = hash('sha256', value, 'buffer');
  return [digest.readInt32BE(0), digest.readInt32BE(4), digest.readInt32BE(8)];
}

/** The validator as HTTP writes it, quotes included: `"` + 24 hexadecimal digits + `"`. */
export function formatEtag(etag: Etag): string {
  return `"${hexWord(etag[0])}${hexWord(etag[1])}${hexWord(etag[2])}"`;
}

function hexWord(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
