import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { problemResponse } from '../response/http-response.ts';
import { AnswerException } from '../response/problem.filter.ts';
import { problem } from '../response/problem.ts';
import { unknownInput } from './unknown-input.ts';

/** Names the query parameters that a route knows; a route without it knows none. */
export const QueryParameters = Reflector.createDecorator<readonly string[]>();

/**
 * Has the routes of a controller respond with 400, and do nothing, to a request with more than their path and their
 * {@link QueryParameters}: see {@link unknownInput}.
 */
@Injectable()
export class KnownInputGuard implements CanActivate {
  readonly #reflector: Reflector;

  constructor(reflector: Reflector) {
    this.#reflector = reflector;
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    const { method, originalUrl, headers } = request;
    const { path } = request.route as { readonly path: string };
    // Undefined where the decorator is absent, whatever its type says.
    const queryParameters = this.#reflector.getAllAndOverride(QueryParameters, [context.getHandler()]) ?? [];
    const unknown = unknownInput({ method, target: originalUrl, headers }, { path, queryParameters });
    if (unknown === undefined) return true;
    throw new AnswerException(problemResponse(problem('bad-request', `${unknown} Nothing was done.`)));
  }
}
