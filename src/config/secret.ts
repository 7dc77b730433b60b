import { inspect } from 'node:util';

const PLACEHOLDER = '[secret]';

/** A secret value. Printing, logging or serialising it shows a placeholder; only `reveal` returns the value. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return PLACEHOLDER;
  }

  toJSON(): string {
    return PLACEHOLDER;
  }

  [inspect.custom](): string {
    return PLACEHOLDER;
  }
}

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
