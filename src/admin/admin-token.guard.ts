import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import type { Secret } from '../config/secret.ts';
import { Settings } from '../config/settings.ts';
import { problemAnswer } from '../http/answer.ts';
import { AnswerException } from '../http/problem.filter.ts';
import { problem } from '../http/problem.ts';

/** Lets those in who have an admin token, and nobody where there is none. */
@Injectable()
export class AdminTokenGuard implements CanActivate {
  readonly #tokens: readonly Secret[];

  constructor(settings: Settings) {
    this.#tokens = settings.adminTokens;
  }

  canActivate(context: ExecutionContext): boolean {
    if (this.#tokens.length === 0) {
      const off = problem('admin-disabled', 'The admin API is off: the proxy was started without ADMIN_TOKEN.');
      throw new AnswerException(problemAnswer(off));
    }
    const { authorization = '' } = context.switchToHttp().getRequest<Request>().headers;
    const given = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '';
    if (this.#tokens.some((token) => token.equals(given))) return true;
    const refused = problem('unauthorized', 'The admin API needs its bearer token.');
    throw new AnswerException(problemAnswer(refused, ['WWW-Authenticate', 'Bearer realm="admin"']));
  }
}
