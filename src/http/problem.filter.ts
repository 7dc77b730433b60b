import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { RequestCounts } from '../cache/request-counts.ts';
import { type Answer, INTERNAL_ERROR, problemAnswer, send } from './answer.ts';
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
  readonly #counts: RequestCounts;

  constructor(counts: RequestCounts) {
    this.#counts = counts;
  }

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    try {
      if (!response.headersSent) return send(this.#answerTo(exception), request.method, response);
      this.#report(exception);
    } catch (bug) {
      this.#report(bug);
    }
    response.destroy();
  }

  #answerTo(exception: unknown): Answer {
    if (exception instanceof AnswerException) return exception.answer;
    const problem = problemOf(exception);
    if (problem !== undefined) return problemAnswer(problem);
    this.#report(exception);
    return INTERNAL_ERROR;
  }

  #report(bug: unknown): void {
    this.#logger.error(bug instanceof Error ? bug.stack : bug);
    this.#counts.countFailure('http');
  }
}

/** What is wrong with the request; undefined: nothing, so it is a bug. */
function problemOf(exception: unknown): Problem | undefined {
  const status = statusOf(exception);
  if (status === 404) return problem('route-not-found', 'There is nothing here; /docs shows what there is.');
  return status >= 400 && status < 500 ? problem('bad-request', 'The request cannot be understood.') : undefined;
}

/** Nest's and Express' errors say what status they are worth. */
function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const { status } = (exception ?? {}) as { status?: unknown };
  return typeof status === 'number' ? status : 500;
}
