import { hash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../config/secret.ts';

/** What a token is remembered by: it says nothing about the token. */
export type Credential = Buffer;

/** Tokens each of which opens a door (RFC 6750). */
export class BearerTokens {
  #digests: readonly Credential[];

  constructor(tokens: readonly Secret[]) {
    this.#digests = digests(tokens);
  }

  /** Whether there are any. */
  get exist(): boolean {
    return this.#digests.length > 0;
  }

  /** Compares with all of them, in a time that says nothing about them. */
  accept(given: string): boolean {
    return this.recognise(given) !== undefined;
  }

  /** The same; answers what it is remembered by. */
  recognise(given: string): Credential | undefined {
    const compared = digest(given);
    let found: Credential | undefined;
    for (const each of this.#digests) if (timingSafeEqual(each, compared)) found = each;
    return found;
  }

  /** Whether one that was recognised is among them. */
  hold(credential: Credential): boolean {
    return this.#digests.some((each) => each.equals(credential));
  }

  /** Puts others in their place; a door that had none stays as it is, and one that had some keeps some. */
  replace(tokens: readonly Secret[]): void {
    if (tokens.length > 0 !== this.exist) throw new Error('other tokens would open or close the door for good');
    this.#digests = digests(tokens);
  }
}

/** The token in an `Authorization` field; undefined when there is none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
}

function digests(tokens: readonly Secret[]): Credential[] {
  return tokens.map((token) => digest(token.reveal()));
}

/** Of one length whatever the token's is. */
function digest(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
