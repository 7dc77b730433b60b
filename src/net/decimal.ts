/** Largest number of digits that {@link parseDecimal} accepts; every such number is exact in a double. */
const MAX_DIGITS = 15;

const MINUS = 0x2d;
const ZERO = 0x30;

/** Returns the number of decimal digits of a non-negative integer. */
export function countDigits(value: number): number {
  let count = 1;
  for (let limit = 10; value >= limit; limit *= 10) count++;
  return count;
}

/**
 * Writes an integer in decimal.
 *
 * @param digits as {@link countDigits} returns it.
 * @param value from 0 to 2^34 - 1.
 */
export function writeDecimal(target: Uint8Array, at: number, digits: number, value: number): void {
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    const tens = (rest / 10) | 0;
    target[place] = ZERO + rest - tens * 10;
    rest = tens;
  }
}

/** Parses an integer in canonical form: no sign but `-`, no leading zeros, at most 15 digits. Otherwise NaN. */
export function parseDecimal(bytes: Uint8Array, from: number, to: number): number {
  const first = bytes[from] === MINUS ? from + 1 : from;
  if (first >= to || to - first > MAX_DIGITS) return NaN;
  if (bytes[first] === ZERO) return to - from === 1 ? 0 : NaN;
  let value = 0;
  for (let at = first; at < to; at++) {
    const digit = bytes[at] - ZERO;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return first === from ? value : -value;
}
