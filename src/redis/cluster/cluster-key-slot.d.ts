declare module 'cluster-key-slot' {
  /** The slot of a key, which is the hash of what stands between its first `{` and the next `}`, if that is something. */
  export default function calculateSlot(key: string | Buffer): number;
}
