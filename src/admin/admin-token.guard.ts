import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { AdminTokens, bearerToken } from '../access/bearer-tokens.ts';
import { problemResponse } from '../http/response/http-response.ts';
import { ResponseException } from '../http/response/problem.filter.ts';
import { problem } from '../http/response/problem.ts';
import { requestOf } from '../http/request/http-context.ts';

/** Requires a valid admin token. Without ADMIN_TOKEN every request is rejected. */
@Injectable()
export class AdminTokenGuard implements CanActivate {
  readonly #tokens: AdminTokens;

  constructor(tokens: AdminTokens) {
    this.#tokens = tokens;
  }

  canActivate(context: ExecutionContext): boolean {
    if (!this.#tokens.exist) {
      const disabled = problem('admin-disabled', 'The admin API is disabled (ADMIN_TOKEN is not set).');
      throw new ResponseException(problemResponse(disabled));
    }
    const { authorization } = requestOf(context).headers;
    if (this.#tokens.accept(bearerToken(authorization) ?? '')) return true;
    const unauthorized = problem('unauthorized', 'A valid admin token is required.');
    throw new ResponseException(problemResponse(unauthorized, ['WWW-Authenticate', 'Bearer realm="admin"']));
  }
}
