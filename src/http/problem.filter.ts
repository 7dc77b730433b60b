import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { type Answer, problemAnswer, send } from './answer.ts';
import { type Problem, problem } from './problem.ts';

/** Ends a request, from wherever it is, with an answer. */
export class AnswerException extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super(`answered with status ${answer.status}`);
    this.answer = answer;
  }
}

/** Makes a problem of whatever no handler has answered: a route that is not there, a broken request, a bug. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger = new Logger(ProblemFilter.name);

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const answer = exception instanceof AnswerException ? exception.answer : problemAnswer(this.#problemOf(exception));
    send(answer, request.method, response);
  }

  #problemOf(exception: unknown): Problem {
    const status = statusOf(exception);
    if (status === 404) return problem('route-not-found', 'There is nothing here; /docs shows what there is.');
    if (status >= 400 && status < 500) return problem('bad-request', 'The request cannot be understood.');
    this.#logger.error(exception instanceof Error ? exception.stack : exception);
    return problem('internal-error', 'This is a bug in the proxy; its log says more.');
  }
}

/** Nest's and Express' errors say what status they are worth. */
function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const { status } = (exception ?? {}) as { status?: unknown };
  return typeof status === 'number' ? status : 500;
}
