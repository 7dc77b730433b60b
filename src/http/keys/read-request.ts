import type { Request } from 'express';
import type { CacheService } from '../../cache/cache.service.ts';
import type { ReadClient } from '../../cache/read-through/buffered-bytes.ts';
import type { RequestSpan } from '../../cache/read-tracer.ts';
import { type DirectedOutcome, outcomeName } from '../../cache/read-through/read-outcome.ts';
import type { Query } from '../../redis/query.ts';
import { type Representations, policyFor } from '../content/representations.ts';
import type { RepresentationName } from '../resources/resource.ts';
import type { Conditions } from '../response/conditional.ts';
import type { Problem } from '../response/problem.ts';
import { ReadResponse } from '../response/read-response.ts';
import { keyResponse } from './key-response.ts';
import { readDirectives } from '../request/request-cache-control.ts';
import { rejectionOf } from './wrong-type.ts';

/** A request for the result of a query, as a controller receives it. */
interface ReadRequest {
  readonly name: RepresentationName;
  readonly request: Pick<Request, 'headers' | 'method' | 'get'>;
  readonly client: ReadClient;
}

/** Reads the result of a query, and renders the response; without a promise if it is a hit. */
export function respondToRead(
  cache: CacheService,
  representations: Representations,
  query: Query,
  { name, request, client }: ReadRequest,
): ReadResponse | Promise<ReadResponse> {
  const { headers } = request;
  const representation = representations.of(name, representations.accepted(headers['accept-encoding']), query.key);
  const conditions: Conditions = {
    ifNoneMatch: headers['if-none-match'],
    range: request.method === 'GET' ? headers.range : undefined,
    ifRange: request.get('If-Range'),
  };
  const render = (outcome: DirectedOutcome, rejection?: Problem): ReadResponse =>
    new ReadResponse(keyResponse(outcome, conditions, policyFor(representation, outcome), rejection), 'http', [
      outcomeName(outcome),
    ]);
  let span: RequestSpan | undefined;
  const noteSpan = (started: RequestSpan): void => void (span = started);
  const respond = (outcome: DirectedOutcome): ReadResponse | Promise<ReadResponse> => {
    const rejection = rejectionOf(cache, query, outcome, span);
    return rejection instanceof Promise
      ? rejection.then((problem) => render(outcome, problem))
      : render(outcome, rejection);
  };
  const { policy, variant } = representation;
  const directives = policy.honoursDirectives ? readDirectives(headers['cache-control'], headers.pragma) : undefined;
  const read = cache.variants.read(query, variant?.conversion, directives, { client, noteSpan });
  return read instanceof Promise ? read.then(respond) : respond(read);
}
