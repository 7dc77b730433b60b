import type { Access } from '../../access/access.ts';
import { bearerToken } from '../../access/bearer-tokens.ts';
import { type HttpResponse, problemResponse } from '../response/http-response.ts';
import { problem } from '../response/problem.ts';

/** Why a read is answered without a look at the cache, and with what. */
export interface AccessDenied {
  /** As it is counted. */
  readonly outcome: 'unauthorized' | 'not-allowed';
  readonly answer: HttpResponse;
}

const UNAUTHORIZED: AccessDenied = {
  outcome: 'unauthorized',
  answer: problemResponse(problem('unauthorized', 'A bearer token is required.'), [
    ...['WWW-Authenticate', 'Bearer realm="keys"'],
  ]),
};

/** What is wrong with a key that KEY_ALLOWLIST leaves out. */
export const KEY_NOT_ALLOWED = problem('key-not-allowed', 'Access to this key is not allowed (KEY_ALLOWLIST).');

const NOT_ALLOWED: AccessDenied = { outcome: 'not-allowed', answer: problemResponse(KEY_NOT_ALLOWED) };

/** Refuses a client that has no token where one is needed; undefined: it may read. */
export function authenticate(access: Access, authorization: string | undefined): AccessDenied | undefined {
  if (!access.tokenRequired || access.acceptsToken(bearerToken(authorization) ?? '')) return undefined;
  return UNAUTHORIZED;
}

/** Refuses a key, bytes [from, to) of source, that is not to be read; undefined: it may be. */
export function authorizeKey(access: Access, source: Uint8Array, from?: number, to?: number): AccessDenied | undefined {
  return access.allowsKey(source, from, to) ? undefined : NOT_ALLOWED;
}
