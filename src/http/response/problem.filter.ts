import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Express, Request, Response } from 'express';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { methodsAt } from '../server/allowed-methods.ts';
import { type HttpResponse, INTERNAL_ERROR, methodNotAllowed, problemResponse, send } from './http-response.ts';
import { problem } from './problem.ts';

/** Ends a request, from wherever it is, with an answer. */
export class AnswerException extends Error {
  readonly answer: HttpResponse;

  constructor(answer: HttpResponse) {
    super(`answered with status ${answer.status}`);
    this.answer = answer;
  }
}

/** Makes a problem of whatever no handler has answered: a route or a method that is not there, a broken request, a bug. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger(ProblemFilter.name);
  readonly #counts: ReadMetrics;

  constructor(counts: ReadMetrics) {
    this.#counts = counts;
  }

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    try {
      if (!response.headersSent) return send(this.#answerTo(exception, request), request.method, response);
      this.#report(exception);
    } catch (bug) {
      this.#report(bug);
    }
    response.destroy();
  }

  #answerTo(exception: unknown, request: Request): HttpResponse {
    if (exception instanceof AnswerException) return exception.answer;
    const status = statusOf(exception);
    if (status === 404) return notFound(request);
    if (status >= 400 && status < 500) return problemResponse(BAD_REQUEST);
    this.#report(exception);
    return INTERNAL_ERROR;
  }

  #report(bug: unknown): void {
    this.#logger.error(bug instanceof Error ? bug.stack : bug);
    this.#counts.countFailure('http');
  }
}

const BAD_REQUEST = problem('bad-request', 'Malformed request.');

/** The response to a request that no route takes: there may be one for other methods. */
function notFound(request: Request): HttpResponse {
  const allowed = methodsAt(request.app as Express, request.path);
  if (allowed.length > 0 && !allowed.includes(request.method)) return methodNotAllowed(allowed);
  return problemResponse(problem('route-not-found', 'Route not found; see /docs.'));
}

/** Nest's and Express' errors say what status they are worth. */
function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const { status } = (exception ?? {}) as { status?: unknown };
  return typeof status === 'number' ? status : 500;
}
