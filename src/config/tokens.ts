import { Secret } from './secret.ts';

/** Returns the secret in the content of a file: the content without one trailing newline. */
export function secretIn(content: string): string {
  return content.replace(/\r?\n$/, '');
}

/** Returns whether a text is a list of tokens of visible ASCII characters, separated by commas. */
export function areTokens(text: string): boolean {
  return text.split(',').every((token) => /^[\x21-\x2b\x2d-\x7e]+$/.test(token));
}

/** Splits a valid list of tokens; returns an empty array for undefined. */
export function tokensIn(text: string | undefined): Secret[] {
  return text?.split(',').map((token) => new Secret(token)) ?? [];
}
