const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** Where a part of a value starts and ends, both included; negative: counted from its end. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** The range that two arguments of GETRANGE name, which are 64-bit integers; undefined when one is none. */
export function parseRange(start: Buffer, end: Buffer): Range | undefined {
  const [from, to] = [integer(start), integer(end)];
  return from === undefined || to === undefined ? undefined : { start: from, end: to };
}

/** The bytes of a value that are in a range, as GETRANGE counts. */
export function cut(value: Buffer, { start, end }: Range): Buffer {
  // As 64-bit integers: a number cannot tell those of many digits apart.
  if (start < 0n && end < 0n && start > end) return value.subarray(0, 0);
  const from = placeIn(value, Number(start));
  const to = placeIn(value, Number(end));
  return value.subarray(from, Math.max(to + 1, from));
}

function placeIn({ length }: Buffer, place: number): number {
  return Math.max(place < 0 ? length + place : place, 0);
}

/** As Redis reads it. */
function integer(text: Buffer): bigint | undefined {
  const digits = text.toString('latin1', 0, 21);
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(digits)) return undefined;
  const value = BigInt(digits);
  return value < LEAST || value > MOST ? undefined : value;
}
