import { HOT_KEY_SKETCHES } from '../memory/layout.ts';
import type { CountedKey, KeySketch } from './key-sketch.ts';

/** A key and how often it was read. */
export interface HotKey {
  /** The key, or its first bytes. */
  readonly key: Buffer;
  /** Bytes of the whole key. */
  readonly keyBytes: number;
  /** Estimate of its reads in the window. */
  readonly reads: number;
  /**
   * How many more reads, or fewer, the true number may be: the errors of the sketches, which never exceed it, and twice the
   * standard deviation of the sampling.
   */
  readonly error: number;
}

/** The most read keys of the last minute. */
export interface HotKeysReport {
  /** Milliseconds that are reported: the last 50 to 60 seconds, or since the start of the cache. */
  readonly windowMs: number;
  /** Estimate of the reads of all keys. */
  readonly reads: number;
  /** Number of reads that were looked at. */
  readonly samples: number;
  /** Most read first. */
  readonly keys: readonly HotKey[];
}

/** Sums of one key over the sketches. */
interface Sums {
  readonly key: Buffer;
  readonly keyBytes: number;
  reads: number;
  excess: number;
  /** Sum of the floors of the sketches that count the key. */
  floors: number;
  variance: number;
}

/**
 * Merges the sketches of a window.
 *
 * @param sketches copies that no other thread changes; those of other periods are left out.
 * @param lastPeriod the period in which the window ends.
 * @param limit maximum number of keys.
 */
export function reportOf(
  sketches: readonly KeySketch[],
  lastPeriod: number,
  windowMs: number,
  limit: number,
): HotKeysReport {
  const inWindow = sketches.filter(({ period }) => period > lastPeriod - HOT_KEY_SKETCHES && period <= lastPeriod);
  const sums = new Map<string, Sums>();
  let floors = 0;
  for (const sketch of inWindow) {
    const { floor, weight } = sketch;
    floors += floor;
    for (const counted of sketch.counted()) {
      const sum = sumOf(sums, counted);
      sum.reads += counted.count - counted.error;
      sum.excess += counted.error;
      sum.floors += floor;
      sum.variance += counted.count * (weight - 1);
    }
  }
  const keys = Array.from(sums.values(), ({ key, keyBytes, reads, excess, floors: own, variance }) => ({
    key,
    keyBytes,
    reads,
    error: excess + floors - own + 2 * Math.sqrt(variance),
  }));
  keys.sort((a, b) => b.reads - a.reads || a.error - b.error);
  return {
    windowMs,
    reads: inWindow.reduce((sum, { reads }) => sum + reads, 0),
    samples: inWindow.reduce((sum, { samples }) => sum + samples, 0),
    keys: keys.slice(0, limit),
  };
}

function sumOf(sums: Map<string, Sums>, { key, keyBytes, hash }: CountedKey): Sums {
  const identity = `${keyBytes}:${hash}:${key.toString('latin1')}`;
  let sum = sums.get(identity);
  if (sum === undefined) {
    sum = { key, keyBytes, reads: 0, excess: 0, floors: 0, variance: 0 };
    sums.set(identity, sum);
  }
  return sum;
}
