/**
 * Computes HalfSipHash-1-3 of a key, bytes `from` to `to` of `bytes`: 32 bits, keyed with two secret words, so that a client
 * that chooses keys cannot choose their buckets. The rounds are those of J.-P. Aumasson's HalfSipHash, with the reduced
 * count that Linux uses for its hash tables (`hsiphash`).
 */
export function hashKey(bytes: Uint8Array, seed0: number, seed1: number, from = 0, to = bytes.length): number {
  let v0 = seed0;
  let v1 = seed1;
  let v2 = 0x6c796765 ^ seed0;
  let v3 = 0x74656462 ^ seed1;
  const length = to - from;
  const whole = from + (length & ~3);
  // One round per 32-bit word, one for the tail with the length in its top byte, three to finish.
  const words = (length >> 2) + 1;
  for (let word = 0, at = from; word < words + 3; word++, at += 4) {
    let m = 0;
    if (at < whole) {
      m = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    } else if (at === whole) {
      m = length << 24;
      for (let i = whole; i < to; i++) m |= bytes[i] << ((i - whole) << 3);
    } else if (word === words) {
      v2 ^= 0xff;
    }
    v3 ^= m;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= m;
  }
  return v1 ^ v3;
}
