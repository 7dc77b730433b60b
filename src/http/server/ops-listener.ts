import type { Settings } from '../../config/settings.ts';
import { problemResponse } from '../response/http-response.ts';
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
 * Whether a client may read below {@link LOOKUP_PATH}. Without access tokens only clients on this machine may, such as
 * `kubectl port-forward`: who may reach the ops listener need not be who may reach HTTP_PORT.
 */
export function mayLookUp({ tokens }: Pick<Settings['access'], 'tokens'>, address: string | undefined): boolean {
  return tokens.length > 0 || (address !== undefined && /^(?:(?:::ffff:)?127\.|::1$)/.test(address));
}

export const LOOKUP_DISABLED = problemResponse(
  problem('lookup-disabled', 'Look-ups from other machines require an access token (ACCESS_TOKEN is not set).'),
);
