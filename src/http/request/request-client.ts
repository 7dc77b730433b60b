import type { Response } from 'express';
import { type ExecutionContext, createParamDecorator } from '@nestjs/common';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import type { RequestDescription } from '../../cache/read-tracer.ts';
import { responseOf } from './http-context.ts';

/** The client of a request, which may disconnect while a read is in flight. */
class RequestClient implements ReadClient {
  readonly #response: Response;

  constructor(response: Response) {
    this.#response = response;
  }

  get disconnected(): boolean {
    return this.#response.closed;
  }

  /** Implements {@link ReadClient.mayBeClosed}. */
  get mayBeClosed(): boolean {
    const { closed, req } = this.#response;
    return closed || req.socket.readableEnded;
  }

  /** Implements {@link ReadClient.describeRequest}. */
  describeRequest(): RequestDescription {
    const { req } = this.#response;
    const { method, headers, originalUrl } = req;
    const { path } = req.route as { readonly path: string };
    const isUpstash = !path.startsWith('/v1/');
    const route = path.replaceAll(/:(\w+)/g, '{$1}');
    return {
      transport: isUpstash ? 'upstash' : 'http',
      http: { method, route: isUpstash ? withCommand(route, originalUrl) : route },
      traceparent: headers.traceparent as string | undefined,
      tracestate: headers.tracestate as string | undefined,
    };
  }
}

/** Names the command in the route `/get/{key}`, which all command paths of Upstash's API are mapped to; there are few of them. */
function withCommand(route: string, target: string): string {
  const [, command = 'get'] = /^\/([a-z.-]+)/i.exec(target) ?? [];
  return route.replace(/^\/get\//, `/${command.toLowerCase()}/`);
}

/** Yields the client of a request. */
export const Client = createParamDecorator(
  (_data: unknown, context: ExecutionContext): ReadClient => new RequestClient(responseOf(context)),
);
