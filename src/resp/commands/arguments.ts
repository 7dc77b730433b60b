import { parseDecimal } from '../../net/decimal.ts';

export const SYNTAX_ERROR = 'ERR syntax error';
export const INVALID_NAME = 'ERR Client names cannot contain spaces, newlines or special characters.';

/** Maximum length of the name of a client or of its library. */
const MAX_NAME_BYTES = 1024;
const MAX_SMALL_INTEGER = 999_999_999;

/** Whether an argument is valid as the name of a client or of its library. */
export function isName(name: Buffer): boolean {
  return name.length <= MAX_NAME_BYTES && name.every((byte) => byte >= 0x21 && byte <= 0x7e);
}

/** Parses an integer of up to nine digits in canonical form; undefined if the argument is something else. */
export function parseSmallInteger(text: Buffer): number | undefined {
  const value = parseDecimal(text, 0, text.length);
  return Math.abs(value) <= MAX_SMALL_INTEGER ? value : undefined;
}
