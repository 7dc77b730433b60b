const MAX_KEY_DIGITS = 5;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
/** The bit that distinguishes lower-case from upper-case ASCII letters. */
const LOWER_CASE_BIT = 0x20;

/**
 * Recognises the most frequent request, a complete `GET key`, without allocating:
 *
 * ```
 *   *2\r\n$3\r\nGET\r\n$<length>\r\n<key>\r\n
 * ```
 */
export class GetRequest {
  /** Start offset of the key. */
  from = 0;
  /** End offset of the key; the request ends two bytes later. */
  to = 0;

  /**
   * Whether a complete `GET` starts at `at` and ends before `end`; sets {@link from} and {@link to}. False does not mean that
   * it is another command: it may be incomplete, or encoded in another way.
   */
  match(bytes: Buffer, at: number, end: number): boolean {
    if (
      end - at < 20 ||
      bytes[at] !== 0x2a ||
      bytes[at + 1] !== 0x32 ||
      bytes[at + 2] !== CR ||
      bytes[at + 3] !== LF ||
      bytes[at + 4] !== 0x24 ||
      bytes[at + 5] !== 0x33 ||
      bytes[at + 6] !== CR ||
      bytes[at + 7] !== LF ||
      (bytes[at + 8] | LOWER_CASE_BIT) !== 0x67 ||
      (bytes[at + 9] | LOWER_CASE_BIT) !== 0x65 ||
      (bytes[at + 10] | LOWER_CASE_BIT) !== 0x74 ||
      bytes[at + 11] !== CR ||
      bytes[at + 12] !== LF ||
      bytes[at + 13] !== 0x24
    ) {
      return false;
    }
    let cursor = at + 14;
    let length = bytes[cursor] - ZERO;
    if (length < 1 || length > 9) return false;
    for (cursor++; cursor < at + 14 + MAX_KEY_DIGITS; cursor++) {
      const digit = bytes[cursor] - ZERO;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
    }
    if (bytes[cursor] !== CR || bytes[cursor + 1] !== LF) return false;
    const from = cursor + 2;
    const to = from + length;
    if (to + 2 > end || bytes[to] !== CR || bytes[to + 1] !== LF) return false;
    this.from = from;
    this.to = to;
    return true;
  }
}
