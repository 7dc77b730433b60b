import type { Response } from 'express';
import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import type { RequestDescription } from '../../cache/read-tracer.ts';
import { responseOf } from '../request/http-context.ts';

/** The client of a response, which may disconnect while a read is in flight. */
class ResponseClient implements ReadClient {
  readonly #response: Response;

  constructor(response: Response) {
    this.#response = response;
  }

  get disconnected(): boolean {
    return this.#response.closed;
  }

  /** Implements {@link ReadClient.describeRequest}. */
  describeRequest(): RequestDescription {
    const { req } = this.#response;
    const { method, headers } = req;
    const { path } = req.route as { readonly path: string };
    return {
      transport: path.startsWith('/v1/') ? 'http' : 'upstash',
      http: { method, route: path.replaceAll(/:(\w+)/g, '{$1}') },
      traceparent: headers.traceparent as string | undefined,
      tracestate: headers.tracestate as string | undefined,
    };
  }
}

/** Yields the client of a request. */
export const Client = createParamDecorator(
  (_data: unknown, context: ExecutionContext): ReadClient => new ResponseClient(responseOf(context)),
);
