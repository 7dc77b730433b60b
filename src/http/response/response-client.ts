import type { ServerResponse } from 'node:http';
import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import { responseOf } from '../request/http-context.ts';

/** The client of a response, which may disconnect while a read is in flight. */
class ResponseClient implements ReadClient {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  get disconnected(): boolean {
    return this.#response.closed;
  }
}

/** Yields the client of a request. */
export const Client = createParamDecorator(
  (_data: unknown, context: ExecutionContext): ReadClient => new ResponseClient(responseOf(context)),
);
