import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import type { Mutex } from '../../net/mutex.ts';
import { readBody } from '../request/read-body.ts';

const TAKES_NO_TURN = 'takes no turn';

/** Has requests of a controller or a handler answered at once where others wait for their turn. */
export const TakesNoTurn = (): MethodDecorator & ClassDecorator => SetMetadata(TAKES_NO_TURN, true);

/**
 * Lets a request proceed when it has its turn (PROXY_MODE=sequential). It asks for one when it has arrived whole, so that
 * a client that is slow to send keeps nobody waiting, and a request whose client has gone before that asks for none.
 */
@Injectable()
export class TurnGuard implements CanActivate {
  readonly #sequencer: Mutex;
  readonly #reflector: Reflector;

  constructor(sequencer: Mutex, reflector: Reflector) {
    this.#sequencer = sequencer;
    this.#reflector = reflector;
  }

  canActivate(context: ExecutionContext): true | Promise<true> {
    if (this.#reflector.getAllAndOverride(TAKES_NO_TURN, [context.getHandler(), context.getClass()])) return true;
    const http = context.switchToHttp();
    return this.#turnFor(http.getRequest<Request>(), http.getResponse<Response>());
  }

  /** Resolves when the turn has come; never if there is nobody to answer. */
  async #turnFor(request: Request, response: Response): Promise<true> {
    const body = hasBody(request) ? await readBody(request) : undefined;
    return new Promise((resolve) => {
      if (body !== 'aborted') this.#sequencer.admit(response, () => resolve(true));
    });
  }
}

function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
