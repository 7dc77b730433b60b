import { type CanActivate, type ExecutionContext, Injectable, UseGuards, applyDecorators } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { problemAnswer } from './answer.ts';
import { AnswerException } from './problem.filter.ts';
import { problem } from './problem.ts';
import { unknownInput } from './unknown-input.ts';

const QueryParameters = Reflector.createDecorator<readonly string[]>();

/**
 * Has a route respond with 400, and do nothing, to a request with more than the route's path and these query parameters,
 * each given once: see {@link unknownInput}.
 */
export function KnownInput(...queryParameters: readonly string[]): MethodDecorator {
  return applyDecorators(QueryParameters(queryParameters), UseGuards(KnownInputGuard));
}

/** Refuses the requests that {@link KnownInput} is about. */
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
    const queryParameters = this.#reflector.get(QueryParameters, context.getHandler());
    const unknown = unknownInput({ method, target: originalUrl, headers }, { path, queryParameters });
    if (unknown === undefined) return true;
    throw new AnswerException(problemAnswer(problem('bad-request', `${unknown} Nothing was done.`)));
  }
}
