import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { AdminTokens } from '../access/admin-tokens.ts';
import { bearerToken } from '../access/bearer-tokens.ts';
import { problemResponse } from '../http/response/http-response.ts';
import { AnswerException } from '../http/response/problem.filter.ts';
import { problem } from '../http/response/problem.ts';

/** Lets those in who have an admin token, and nobody where there is none. */
@Injectable()
export class AdminTokenGuard implements CanActivate {
  readonly #tokens: AdminTokens;

  constructor(tokens: AdminTokens) {
    this.#tokens = tokens;
  }

  canActivate(context: ExecutionContext): boolean {
    if (!this.#tokens.exist) {
      const off = problem('admin-disabled', 'The admin API is off: the proxy was started without ADMIN_TOKEN.');
      throw new AnswerException(problemResponse(off));
    }
    const { authorization } = context.switchToHttp().getRequest<Request>().headers;
    if (this.#tokens.accept(bearerToken(authorization) ?? '')) return true;
    const refused = problem('unauthorized', 'The admin API needs its bearer token.');
    throw new AnswerException(problemResponse(refused, ['WWW-Authenticate', 'Bearer realm="admin"']));
  }
}
