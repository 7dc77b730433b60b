import { bearerToken } from '../access/bearer-tokens.ts';

/** The token of a request: of `Authorization: Bearer`, or, where there is no such field, of the query, `?_token=`. */
export function restToken(authorization: string | undefined, target: string): string | undefined {
  return authorization === undefined ? queryToken(target) : bearerToken(authorization);
}

/** A `+` stands for itself: tokens have it, and no spaces. */
function queryToken(target: string): string | undefined {
  const query = target.indexOf('?');
  if (query === -1) return undefined;
  const given = target
    .slice(query + 1)
    .split('&')
    .find((pair) => pair.startsWith('_token='));
  if (given === undefined) return undefined;
  try {
    return decodeURIComponent(given.slice('_token='.length));
  } catch {
    return undefined;
  }
}
