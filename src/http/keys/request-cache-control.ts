import type { ReadDirectives } from '../../cache/read-through/read-through.ts';

/** A directive and its argument, as a token or quoted (RFC 9111, section 5.2). */
const DIRECTIVE = /[\t ,]*([!#$%&'*+.^_`|~\w-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\t ",]*)))?/gy;
const DIGITS = /^\d+$/;

/**
 * What a request's `Cache-Control` asks for: `no-cache`, `max-age` and `only-if-cached`. What else it may say is advice
 * that a cache need not follow, and so is an argument that makes no sense; of several `max-age` the least counts.
 * `Pragma: no-cache` says what it does where there is no `Cache-Control`.
 *
 * @returns undefined when it asks for nothing.
 */
export function readDirectives(
  cacheControl: string | undefined,
  pragma: string | undefined,
): ReadDirectives | undefined {
  let maxAgeMs = Infinity;
  let onlyIfCached = false;
  for (const [, name, quoted, token] of (cacheControl ?? pragma ?? '').matchAll(DIRECTIVE)) {
    const directive = name.toLowerCase();
    if (directive === 'no-cache') maxAgeMs = 0;
    if (cacheControl === undefined) continue;
    const argument = quoted ?? token ?? '';
    if (directive === 'max-age' && DIGITS.test(argument)) maxAgeMs = Math.min(maxAgeMs, Number(argument) * 1000);
    if (directive === 'only-if-cached') onlyIfCached = true;
  }
  return maxAgeMs === Infinity && !onlyIfCached ? undefined : { maxAgeMs, onlyIfCached };
}
