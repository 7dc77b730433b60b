export const SYNTAX = 'ERR syntax error';
export const BAD_NAME = 'ERR Client names cannot contain spaces, newlines or special characters.';

/** Longest name that is kept of a client or its library. */
const MAX_NAME_BYTES = 1024;

/** Whether an argument can be the name of a client, or of its library. */
export function isName(name: Buffer): boolean {
  return name.length <= MAX_NAME_BYTES && name.every((byte) => byte >= 0x21 && byte <= 0x7e);
}

/** The whole number, of up to nine digits, that an argument is; undefined when it is not one. */
export function wholeNumber(text: Buffer): number | undefined {
  const digits = text.toString('latin1');
  return /^(?:0|-?[1-9]\d{0,8})$/.test(digits) ? Number(digits) : undefined;
}
