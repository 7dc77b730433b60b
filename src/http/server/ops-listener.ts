import type { IncomingMessage } from 'node:http';
import type { Settings } from '../../config/settings.ts';
import { type HttpResponse, problemResponse } from '../response/http-response.ts';
import { problem } from '../response/problem.ts';

/**
 * Maximum connections of the ops listener of an instance: dashboards, scrapers, operators. They are counted apart from
 * PROXY_MAX_CONNECTIONS, so that neither kind can use up the other; health probes are accepted beyond it.
 */
export const MAX_OPS_CONNECTIONS = 256;

/** Path below which the ops listener serves reads, as HTTP_PORT does: for the dashboard and the API page. */
export const LOOKUP_PATH = '/lookup';

/** First segments of the paths that belong to the ops listener; `v1/cache` is the admin API. */
const OPS_PATH = /^\/?(?:health|metrics|dashboard|docs|openapi\.json|v1\/cache)(?:\/|$)/;

/** Whether a route belongs to the ops listener (OPS_PORT). `POST /` is a read of Upstash's REST API, `GET /` the dashboard. */
export function isOpsRoute(method: string, path: string): boolean {
  return OPS_PATH.test(path) || (method === 'get' && (path === '/' || path === ''));
}

/** Returns the target of the read in a target below {@link LOOKUP_PATH}; undefined if it is another target. */
export function lookupTarget(path: string): string | undefined {
  return path.startsWith(`${LOOKUP_PATH}/`) ? path.slice(LOOKUP_PATH.length) : undefined;
}

/**
 * Returns the response to a client that may not read below {@link LOOKUP_PATH}; undefined if it may. Without access tokens, or if
 * HTTP_PORT requires client certificates, only clients on this machine may, such as `kubectl port-forward`: who may reach
 * the ops listener need not be who may read at HTTP_PORT.
 */
export function lookupRejection(
  { access, http }: Pick<Settings, 'access' | 'http'>,
  request: LookupRequest,
): HttpResponse | undefined {
  const hasToken = access.tokens.length > 0;
  if ((hasToken && http.tls?.clientCa === undefined) || isLocal(request)) return undefined;
  return hasToken ? NO_CERTIFICATE : NO_TOKEN;
}

type LookupRequest = Pick<IncomingMessage, 'headers'> & { readonly socket: { readonly remoteAddress?: string } };

/**
 * Whether a request comes from a client on this machine. Not from 127.0.0.6, the address of all clients behind a sidecar of Istio,
 * nor from another client through a front end on this machine that says so. `Host` must not be a name that somebody else can
 * let resolve to this machine, or pages of other sites could read (DNS rebinding).
 */
function isLocal({ headers, socket: { remoteAddress = '' } }: LookupRequest): boolean {
  return (
    LOOPBACK.test(remoteAddress) && LOCAL_HOST.test(headers.host ?? '') && !Object.keys(headers).some(isOfFrontEnd)
  );
}

function isOfFrontEnd(header: string): boolean {
  return header.startsWith('x-forwarded-') || FRONT_END_HEADERS.has(header);
}

const LOOPBACK = /^(?:(?:::ffff:)?127\.0\.0\.1|::1)$/;
const LOCAL_HOST = /^(?:localhost|\d+\.\d+\.\d+\.\d+|\[[^\]]*\])(?::\d*)?$/i;
const FRONT_END_HEADERS: ReadonlySet<string> = new Set(['forwarded', 'via', 'x-real-ip']);

const NO_TOKEN = problemResponse(
  problem(
    'lookup-disabled',
    'Without ACCESS_TOKEN, look-ups are for clients on this machine, at localhost or an IP address.',
  ),
);
const NO_CERTIFICATE = problemResponse(
  problem(
    'lookup-disabled',
    'Reads require a client certificate, so look-ups are for clients on this machine, at localhost or an IP address.',
  ),
);
