import type { Access } from '../../access/access.ts';
import { bearerToken } from '../../access/bearer-tokens.ts';
import { type HttpResponse, problemResponse } from '../response/http-response.ts';
import { problem } from '../response/problem.ts';

/** A read that is rejected without reading the cache. */
export interface AccessDenied {
  /** The outcome to count. */
  readonly outcome: 'unauthorized' | 'not-allowed';
  readonly response: HttpResponse;
}

const UNAUTHORIZED: AccessDenied = {
  outcome: 'unauthorized',
  response: problemResponse(problem('unauthorized', 'A bearer token is required.'), [
    ...['WWW-Authenticate', 'Bearer realm="keys"'],
  ]),
};

/** The problem of a key that KEY_ALLOWLIST does not match. */
export const KEY_NOT_ALLOWED = problem('key-not-allowed', 'Access to this key is not allowed (KEY_ALLOWLIST).');

const NOT_ALLOWED: AccessDenied = { outcome: 'not-allowed', response: problemResponse(KEY_NOT_ALLOWED) };

/** Checks the Authorization header if a token is required; undefined if the client may read. */
export function authenticate(access: Access, authorization: string | undefined): AccessDenied | undefined {
  if (!access.tokenRequired || access.acceptsToken(bearerToken(authorization) ?? '')) return undefined;
  return UNAUTHORIZED;
}

/** Checks the key, bytes [from, to) of source, against KEY_ALLOWLIST; undefined if it may be read. */
export function authorizeKey(access: Access, source: Uint8Array, from?: number, to?: number): AccessDenied | undefined {
  return access.allowsKey(source, from, to) ? undefined : NOT_ALLOWED;
}
