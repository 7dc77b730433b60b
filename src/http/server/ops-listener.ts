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
  address: string | undefined,
): HttpResponse | undefined {
  if (address !== undefined && LOOPBACK.test(address)) return undefined;
  if (access.tokens.length === 0) return NO_TOKEN;
  return http.tls?.clientCa === undefined ? undefined : NO_CERTIFICATE;
}

const LOOPBACK = /^(?:(?:::ffff:)?127\.|::1$)/;

const NO_TOKEN = problemResponse(
  problem('lookup-disabled', 'Look-ups from other machines require an access token (ACCESS_TOKEN is not set).'),
);
const NO_CERTIFICATE = problemResponse(
  problem('lookup-disabled', 'Look-ups from other machines are disabled, since reads require a client certificate.'),
);
