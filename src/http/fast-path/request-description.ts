import type { RequestDescription } from '../../cache/read-tracer.ts';
import { KEYS_PATH } from '../request/key-path.ts';
import type { RequestHead } from './request-head.ts';

const CRLF = Buffer.from('\r\n');

/** Describes a request for its span, by its head, which is in `bytes`. Only requests that wait for a load are described. */
export function describeRequest(head: RequestHead, bytes: Buffer): RequestDescription {
  const method = head.headOnly ? 'HEAD' : 'GET';
  const headers = bytes.subarray(bytes.indexOf(CRLF, head.keyTo), head.end);
  return {
    transport: 'http',
    http: { method, route: routeOf(head) },
    traceparent: headerIn(headers, 'traceparent'),
    tracestate: headerIn(headers, 'tracestate'),
  };
}

/** Returns the route, as the controllers have it and the OpenAPI document shows it. */
function routeOf({ resource, partFrom }: RequestHead): string {
  if (resource === undefined) return `${KEYS_PATH}{key}`;
  if (partFrom === 0) return `${resource.path}{key}`;
  return `${resource.path}{key}/{${resource.readPart?.(Buffer.alloc(0)).representation}}`;
}

/** Returns the values of all headers of a name, joined with commas as node:http does; undefined if there are none. */
function headerIn(headers: Buffer, name: string): string | undefined {
  const values = [...headers.toString('latin1').matchAll(/\r\n([^:\r]+):([^\r]*)/g)].flatMap(([, each, value]) =>
    each.toLowerCase() === name ? [value.trim()] : [],
  );
  return values.length === 0 ? undefined : values.join(', ');
}
