import { bearerToken } from '../access/bearer-tokens.ts';

/** Returns the token of a request from `Authorization: Bearer` or, without that header, from the query, `?_token=`. */
export function restToken(authorization: string | undefined, target: string): string | undefined {
  return authorization === undefined ? queryToken(target) : bearerToken(authorization);
}

/** Does not decode `+` to a space: tokens contain the former, and never the latter. */
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
