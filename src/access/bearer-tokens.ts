import { hash, timingSafeEqual } from 'node:crypto';
import type { Secret } from '../config/secret.ts';

/** The digest of a token, which identifies it without revealing it. */
export type Credential = Buffer;

/** A set of accepted bearer tokens (RFC 6750). */
export class BearerTokens {
  #digests: readonly Credential[];

  constructor(tokens: readonly Secret[]) {
    this.#digests = digests(tokens);
  }

  /** Whether the set is not empty. */
  get exist(): boolean {
    return this.#digests.length > 0;
  }

  /** Whether this is one of the tokens; compares with all of them in constant time. */
  accept(given: string): boolean {
    return this.identify(given) !== undefined;
  }

  /** Returns the credential of a valid token; undefined if it is invalid. */
  identify(given: string): Credential | undefined {
    const compared = digest(given);
    let found: Credential | undefined;
    for (const each of this.#digests) if (timingSafeEqual(each, compared)) found = each;
    return found;
  }

  /** Whether the token of a credential is in the set. */
  includes(credential: Credential): boolean {
    return this.#digests.some((each) => each.equals(credential));
  }

  /**
   * Replaces the tokens.
   *
   * @throws Error if only one of the two sets is empty: authentication cannot be switched on or off.
   */
  replace(tokens: readonly Secret[]): void {
    if (tokens.length > 0 !== this.exist) throw new Error('authentication cannot be switched on or off at run time');
    this.#digests = digests(tokens);
  }
}

/** The tokens of the admin API. */
export class AdminTokens extends BearerTokens {}

/** Returns the token in an `Authorization` header; undefined if there is none. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
}

function digests(tokens: readonly Secret[]): Credential[] {
  return tokens.map((token) => digest(token.reveal()));
}

/** Digests have the same length for all tokens, which a comparison in constant time requires. */
function digest(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
