import type { Access } from '../access/access.ts';
import { bearerToken } from '../access/bearer-tokens.ts';
import { type Answer, problemAnswer } from './answer.ts';
import { problem } from './problem.ts';

/** Why a read is answered without a look at the cache, and with what. */
export interface KeyRefusal {
  /** As it is counted. */
  readonly outcome: 'unauthorized' | 'not-allowed';
  readonly answer: Answer;
}

const UNAUTHORIZED: KeyRefusal = {
  outcome: 'unauthorized',
  answer: problemAnswer(problem('unauthorized', 'Keys are read with a bearer token.'), [
    ...['WWW-Authenticate', 'Bearer realm="keys"'],
  ]),
};

/** What is wrong with a key that KEY_ALLOWLIST leaves out. */
export const KEY_NOT_ALLOWED = problem('key-not-allowed', 'This key is none of those that may be read.');

const NOT_ALLOWED: KeyRefusal = { outcome: 'not-allowed', answer: problemAnswer(KEY_NOT_ALLOWED) };

/** Refuses a client that has no token where one is needed; undefined: it may read. */
export function refuseClient(access: Access, authorization: string | undefined): KeyRefusal | undefined {
  if (!access.tokenRequired || access.acceptsToken(bearerToken(authorization) ?? '')) return undefined;
  return UNAUTHORIZED;
}

/** Refuses a key, bytes [from, to) of source, that is not to be read; undefined: it may be. */
export function refuseKey(access: Access, source: Uint8Array, from?: number, to?: number): KeyRefusal | undefined {
  return access.allowsKey(source, from, to) ? undefined : NOT_ALLOWED;
}
