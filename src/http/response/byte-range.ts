import { Buffer } from 'node:buffer';

/** Part of a value, in bytes. */
export interface ByteRange {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** One range of bytes in a `Range` field, with the empty list elements that recipients must accept (RFC 9110, sections 5.6.1.2 and 14.2). */
const ONE_RANGE = /^bytes=[\t ,]*(?:(\d+)-(\d*)|-(\d+))[\t ,]*$/i;

/**
 * Returns the range of a value of `length` bytes that a `Range` field asks for. `unsatisfiable` if the value ends before it;
 * undefined if the field must be ignored: several ranges, another unit, anything invalid.
 */
export function byteRangeOf(range: string, length: number): ByteRange | 'unsatisfiable' | undefined {
  const [, first, last, suffix] = ONE_RANGE.exec(range) ?? [];
  if (suffix !== undefined) {
    const bytes = Number(suffix);
    if (bytes === 0) return 'unsatisfiable';
    // Content-Range cannot express a range of an empty value.
    return length === 0 ? undefined : { from: Math.max(0, length - bytes), to: length };
  }
  if (first === undefined || (last !== '' && isLess(last, first))) return undefined;
  const from = Number(first);
  if (from >= length) return 'unsatisfiable';
  return { from, to: last === '' ? length : Math.min(length, Number(last) + 1) };
}

/** Compares two numbers with any number of decimal digits. */
function isLess(a: string, b: string): boolean {
  const [left, right] = [a, b].map((digits) => digits.replace(/^0+/, ''));
  return left.length === right.length ? left < right : left.length < right.length;
}

/** Returns the value of `Content-Range` (RFC 9110, section 14.4). */
export function contentRange({ from, to }: ByteRange, length: number): string {
  return `bytes ${from}-${to - 1}/${length}`;
}

/** Returns the bytes of a range; a copy if they are the smaller part, so that a response does not keep the whole value in memory. */
export function slice(value: Buffer, { from, to }: ByteRange): Buffer {
  const part = value.subarray(from, to);
  return part.length < value.length / 2 ? Buffer.from(part) : part;
}
