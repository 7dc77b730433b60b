import { Secret } from './secret.ts';

/** The text in the file of a secret, whose editor may have ended it with a newline. */
export function secretIn(content: string): string {
  return content.replace(/\r?\n$/, '');
}

/** Whether these are tokens of visible ASCII characters, separated by commas. */
export function areTokens(text: string): boolean {
  return text.split(',').every((token) => /^[\x21-\x2b\x2d-\x7e]+$/.test(token));
}

/** Tokens that were validated before; none of them when there is no text. */
export function tokensIn(text: string | undefined): Secret[] {
  return text?.split(',').map((token) => new Secret(token)) ?? [];
}
