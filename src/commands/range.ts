const LEAST = -(2n ** 63n);
const MOST = 2n ** 63n - 1n;

/** Where a part of a value starts and ends, both included; negative: counted from its end. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The range that two arguments of GETRANGE name, which are 64-bit integers; undefined when one is none. */
export function parseRange(start: Buffer, end: Buffer): Range | undefined {
  const [from, to] = [integer(start), integer(end)];
  return from === undefined || to === undefined ? undefined : { start: from, end: to };
}

/** The bytes of a value that are in a range, as GETRANGE counts. */
export function cut(value: Buffer, { start, end }: Range): Buffer {
  if (start < 0 && end < 0 && start > end) return value.subarray(0, 0);
  const from = Math.max(start < 0 ? value.length + start : start, 0);
  const to = Math.max(end < 0 ? value.length + end : end, 0);
  return value.subarray(from, Math.max(to + 1, from));
}

/** As Redis reads it. No value is so long that the places which a number cannot tell apart would matter. */
function integer(text: Buffer): number | undefined {
  const digits = text.toString('latin1', 0, 21);
  if (!/^(?:0|-?[1-9]\d{0,18})$/.test(digits)) return undefined;
  const value = BigInt(digits);
  return value < LEAST || value > MOST ? undefined : Number(value);
}
