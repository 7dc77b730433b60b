import { parseKeyPatterns } from '../config/key-pattern-syntax.ts';
import type { Settings } from '../config/settings.ts';
import type { Secret } from '../config/secret.ts';
import { BearerTokens, type Credential } from './bearer-tokens.ts';
import { KeyPattern } from './key-pattern.ts';

/** Longest key, in bytes, that a request may name, over any protocol. */
export const MAX_KEY_BYTES = 64 * 1024;

/** Authenticates clients (ACCESS_TOKEN) and authorises keys (KEY_ALLOWLIST), for all protocols. */
export class Access {
  /** Whether reads need a token. */
  readonly tokenRequired: boolean;
  readonly #tokens: BearerTokens;
  /** Empty if every key may be read. */
  readonly #patterns: readonly KeyPattern[];

  constructor({ tokens, keyPatterns }: Pick<Settings['access'], 'tokens' | 'keyPatterns'>) {
    this.#tokens = new BearerTokens(tokens);
    this.tokenRequired = this.#tokens.exist;
    const patterns = (parseKeyPatterns(keyPatterns) ?? []).map((elements) => new KeyPattern(elements));
    if (patterns.length === 0) throw new Error('invalid key patterns');
    this.#patterns = patterns.some((pattern) => pattern.matchesAll) ? [] : patterns;
  }

  /** Whether this is one of the tokens; compares in constant time. */
  acceptsToken(given: string): boolean {
    return this.#tokens.accept(given);
  }

  /** Returns the credential of a valid token, for connections that authenticate once; undefined if it is invalid. */
  identify(given: string): Credential | undefined {
    return this.#tokens.identify(given);
  }

  /** Whether the token of a credential is still valid. */
  stillAccepts(credential: Credential): boolean {
    return this.#tokens.includes(credential);
  }

  /** Replaces the tokens. Whether a token is required cannot change. */
  replaceTokens(tokens: readonly Secret[]): void {
    this.#tokens.replace(tokens);
  }

  /** Whether every key may be read. */
  get allowsAllKeys(): boolean {
    return this.#patterns.length === 0;
  }

  /** Whether the key, bytes [from, to) of source, may be read. Does not allocate. */
  allowsKey(source: Uint8Array, from = 0, to = source.length): boolean {
    if (this.#patterns.length === 0) return true;
    for (const pattern of this.#patterns) if (pattern.matches(source, from, to)) return true;
    return false;
  }
}

/** Allows every key without a token: for the self-check, whose cache contains no data of Redis. */
export const OPEN_ACCESS = new Access({ tokens: [], keyPatterns: '*' });
