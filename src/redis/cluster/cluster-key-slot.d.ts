declare module 'cluster-key-slot' {
  /** Returns the slot of a key: the hash of its hash tag (the non-empty text in its first `{…}`) or of the whole key. */
  export default function calculateSlot(key: string | Buffer): number;
}
