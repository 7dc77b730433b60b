import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Access } from '../../access/access.ts';
import { ResponseException } from '../response/problem.filter.ts';
import { ReadResponse } from '../response/read-response.ts';
import { type AccessDenied, authenticate, authorizeKey } from './access-denied.ts';
import { KEYS_PATH, keyFromTarget, keyPrefixOf } from '../request/key-path.ts';
import { requestOf } from '../request/http-context.ts';

/** Requires a valid token in the Authorization header, if ACCESS_TOKEN is set. */
@Injectable()
export class AccessTokenGuard implements CanActivate {
  readonly #access: Access;

  constructor(access: Access) {
    this.#access = access;
  }

  canActivate(context: ExecutionContext): boolean {
    const { headers } = requestOf(context);
    return admit(authenticate(this.#access, headers.authorization));
  }
}

/** Requires that KEY_ALLOWLIST matches the key in the path. */
@Injectable()
export class KeyAllowlistGuard implements CanActivate {
  readonly #access: Access;

  constructor(access: Access) {
    this.#access = access;
  }

  canActivate(context: ExecutionContext): boolean {
    if (this.#access.allowsAllKeys) return true;
    const { originalUrl } = requestOf(context);
    const key = keyFromTarget(originalUrl, keyPrefixOf(originalUrl) ?? KEYS_PATH);
    // An invalid key is rejected by the decorator that yields it.
    return typeof key === 'string' || admit(authorizeKey(this.#access, key));
  }
}

/** @throws ResponseException if access is denied; the denial is counted when its response is sent. */
function admit(denied: AccessDenied | undefined): true {
  if (denied === undefined) return true;
  throw new ResponseException(new ReadResponse(denied.response, 'http', [denied.outcome]));
}
