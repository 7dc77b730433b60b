import { hash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../config/secret.ts';

/** Tokens each of which opens a door (RFC 6750). */
export class BearerTokens {
  readonly #digests: readonly Buffer[];

  constructor(tokens: readonly Secret[]) {
    this.#digests = tokens.map((token) => digest(token.reveal()));
  }

  /** Whether there are any. */
  get exist(): boolean {
    return this.#digests.length > 0;
  }

  /** Compares with all of them, in a time that says nothing about them. */
  accept(given: string): boolean {
    const compared = digest(given);
    let accepted = false;
    for (const each of this.#digests) accepted = timingSafeEqual(each, compared) || accepted;
    return accepted;
  }
}

/** The token in an `Authorization` field; undefined when there is none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
}

/** Of one length whatever the token's is. */
function digest(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
