import type { ExecutionContext } from '@nestjs/common';
import type { Request, Response } from 'express';

/*
 * In place of `context.switchToHttp().getRequest()`, which adds three closures to the context: with two guards and two
 * parameter decorators that cost a read of a cached key several percent of its CPU time.
 */

export function requestOf(context: ExecutionContext): Request {
  return context.getArgByIndex<Request>(0);
}

export function responseOf(context: ExecutionContext): Response {
  return context.getArgByIndex<Response>(1);
}
