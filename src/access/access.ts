import { parseKeyPatterns } from '../config/environment/key-pattern-syntax.ts';
import type { Settings } from '../config/settings.ts';
import type { Secret } from '../config/secret.ts';
import { BearerTokens, type Credential } from './bearer-tokens.ts';
import { KeyPattern } from './key-pattern.ts';

/** Who may read (ACCESS_TOKEN), and what (KEY_ALLOWLIST), whichever way they ask. */
export class Access {
  /** Whether reads need a token. */
  readonly tokenRequired: boolean;
  readonly #tokens: BearerTokens;
  /** Empty: every key may be read. */
  readonly #patterns: readonly KeyPattern[];

  constructor({ tokens, keyPatterns }: Pick<Settings['access'], 'tokens' | 'keyPatterns'>) {
    this.#tokens = new BearerTokens(tokens);
    this.tokenRequired = this.#tokens.exist;
    const patterns = (parseKeyPatterns(keyPatterns) ?? []).map((elements) => new KeyPattern(elements));
    if (patterns.length === 0) throw new Error('the patterns were validated before');
    this.#patterns = patterns.some((pattern) => pattern.matchesAll) ? [] : patterns;
  }

  /** Compares in constant time with each of the tokens. */
  acceptsToken(given: string): boolean {
    return this.#tokens.accept(given);
  }

  /** The same; answers what the token is remembered by where it is not sent with each request. */
  recognise(given: string): Credential | undefined {
    return this.#tokens.recognise(given);
  }

  /** Whether what was recognised is still one of the tokens. */
  stillAccepts(credential: Credential): boolean {
    return this.#tokens.hold(credential);
  }

  /** Goes on with other tokens, where there were any: whether one is needed never changes. */
  replaceTokens(tokens: readonly Secret[]): void {
    this.#tokens.replace(tokens);
  }

  /** Whether the key, bytes [from, to) of source, may be read. Takes no memory. */
  allowsKey(source: Uint8Array, from = 0, to = source.length): boolean {
    if (this.#patterns.length === 0) return true;
    for (const pattern of this.#patterns) if (pattern.matches(source, from, to)) return true;
    return false;
  }
}

/** Lets everybody read every key: for the self-check, which reads nothing of Redis'. */
export const OPEN_ACCESS = new Access({ tokens: [], keyPatterns: '*' });
