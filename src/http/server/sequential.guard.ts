import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import type { Mutex } from '../../net/mutex.ts';
import { readBody } from '../request/read-body.ts';
import { requestOf, responseOf } from '../request/http-context.ts';

const SKIP_SEQUENTIAL = 'skip sequential';

/** Exempts a controller or a handler from {@link SequentialGuard}. */
export const SkipSequential = (): MethodDecorator & ClassDecorator => SetMetadata(SKIP_SEQUENTIAL, true);

/**
 * Runs one request at a time (PROXY_MODE=sequential). A request waits for the mutex once its body has been received, so
 * that a slow client does not delay others, and not at all if its client has disconnected by then.
 */
@Injectable()
export class SequentialGuard implements CanActivate {
  readonly #mutex: Mutex;
  readonly #reflector: Reflector;

  constructor(mutex: Mutex, reflector: Reflector) {
    this.#mutex = mutex;
    this.#reflector = reflector;
  }

  canActivate(context: ExecutionContext): true | Promise<true> {
    if (this.#reflector.getAllAndOverride(SKIP_SEQUENTIAL, [context.getHandler(), context.getClass()])) return true;
    return this.#acquire(requestOf(context), responseOf(context));
  }

  /** Resolves once the request holds the mutex; never if the client has disconnected. */
  async #acquire(request: Request, response: Response): Promise<true> {
    const body = hasBody(request) ? await readBody(request) : undefined;
    return new Promise((resolve) => {
      if (body !== 'aborted') this.#mutex.run(response, () => resolve(true));
    });
  }
}

function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
