const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

/** Inclusive start and end offset of a part of a value; negative offsets count from its end. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** Parses the offsets of GETRANGE; undefined if one of them is not a 64-bit integer. */
export function parseRange(start: Buffer, end: Buffer): Range | undefined {
  const [from, to] = [parseInt64(start), parseInt64(end)];
  return from === undefined || to === undefined ? undefined : { start: from, end: to };
}

/** Returns the bytes of a value within a range, as GETRANGE does. */
export function sliceRange(value: Buffer, { start, end }: Range): Buffer {
  // Compared as bigints: doubles do not represent all 64-bit integers exactly.
  if (start < 0n && end < 0n && start > end) return value.subarray(0, 0);
  const from = clampOffset(value, Number(start));
  const to = clampOffset(value, Number(end));
  return value.subarray(from, Math.max(to + 1, from));
}

function clampOffset({ length }: Buffer, offset: number): number {
  return Math.max(offset < 0 ? length + offset : offset, 0);
}

/** Parses a 64-bit integer in canonical form, as Redis does. */
function parseInt64(text: Buffer): bigint | undefined {
  const digits = text.toString('latin1', 0, 21);
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(digits)) return undefined;
  const value = BigInt(digits);
  return value < MIN_INT64 || value > MAX_INT64 ? undefined : value;
}
