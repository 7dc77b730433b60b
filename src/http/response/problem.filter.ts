import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Express, Request, Response } from 'express';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { methodsAt } from '../server/allowed-methods.ts';
import { type HttpResponse, INTERNAL_ERROR, methodNotAllowed, problemResponse } from './http-response.ts';
import { problem } from './problem.ts';
import type { ReadResponse } from './read-response.ts';
import { ResponseSender } from './response-sender.ts';

/** Thrown to end a request with a given response. */
export class ResponseException extends Error {
  readonly response: HttpResponse | ReadResponse;

  constructor(response: HttpResponse | ReadResponse) {
    super('the request ends with the response of this exception');
    this.response = response;
  }
}

/** Responds with a problem to exceptions: unknown routes and methods, malformed requests, unexpected errors. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger(ProblemFilter.name);
  readonly #counts: ReadMetrics;
  readonly #sender: ResponseSender;

  constructor(counts: ReadMetrics, sender: ResponseSender) {
    this.#counts = counts;
    this.#sender = sender;
  }

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    try {
      if (!response.headersSent) return this.#sender.send(this.#responseTo(exception, request), response);
      this.#report(exception);
    } catch (bug) {
      this.#report(bug);
    }
    response.destroy();
  }

  #responseTo(exception: unknown, request: Request): HttpResponse | ReadResponse {
    if (exception instanceof ResponseException) return exception.response;
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

/** Responds 405 if the path has routes for other methods, 404 otherwise. */
function notFound(request: Request): HttpResponse {
  const app = request.app as Express;
  const allowed = methodsAt(app, request.path);
  if (allowed.length > 0 && !allowed.includes(request.method)) return methodNotAllowed(allowed);
  // With OPS_PORT the documentation is at the other port.
  const hasDocs = methodsAt(app, '/docs').length > 0;
  return problemResponse(problem('route-not-found', hasDocs ? 'Route not found; see /docs.' : 'Route not found.'));
}

/** Returns the status of an error of Nest or Express; 500 for any other. */
function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const { status } = (exception ?? {}) as { status?: unknown };
  return typeof status === 'number' ? status : 500;
}
