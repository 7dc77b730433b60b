import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { problemResponse } from '../response/http-response.ts';
import { ResponseException } from '../response/problem.filter.ts';
import { problem } from '../response/problem.ts';
import { unknownInput } from './unknown-input.ts';
import { requestOf } from './http-context.ts';

/** Declares the query parameters of a route; without it, a route accepts none. */
export const QueryParameters = Reflector.createDecorator<readonly string[]>();

/**
 * Rejects requests with input that their route does not know, with 400 and before the handler runs; see
 * {@link unknownInput} and {@link QueryParameters}.
 */
@Injectable()
export class KnownInputGuard implements CanActivate {
  readonly #reflector: Reflector;

  constructor(reflector: Reflector) {
    this.#reflector = reflector;
  }

  canActivate(context: ExecutionContext): boolean {
    const request = requestOf(context);
    const { method, originalUrl, headers } = request;
    const { path } = request.route as { readonly path: string };
    // Undefined without the decorator, despite its type.
    const queryParameters = this.#reflector.getAllAndOverride(QueryParameters, [context.getHandler()]) ?? [];
    const unknown = unknownInput({ method, target: originalUrl, headers }, { path, queryParameters });
    if (unknown === undefined) return true;
    throw new ResponseException(problemResponse(problem('bad-request', `${unknown} Nothing was done.`)));
  }
}
