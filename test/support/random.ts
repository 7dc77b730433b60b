/** Numbers in [0, 1), the same ones in the same order for the same seed in every process (mulberry32). */
export function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Whole numbers below a limit, the same ones in the same order for the same seed. */
export function seeded(seed: number): (limit: number) => number {
  const next = mulberry32(seed);
  return (limit) => Math.floor(next() * limit);
}
