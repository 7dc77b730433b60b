import type { ReadDirectives } from '../../cache/read-through/read-through.ts';

/** A directive and its argument, as a token or quoted (RFC 9111, section 5.2). */
const DIRECTIVE = /[\t ,]*([!#$%&'*+.^_`|~\w-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\t ",]*)))?/gy;
const DIGITS = /^\d+$/;

/**
 * Parses the `Cache-Control` directives of a request: `no-cache`, `max-age` and `only-if-cached`. Other directives and
 * invalid arguments are ignored, which a cache may do; of several `max-age` the smallest applies. `Pragma: no-cache` is
 * equivalent to `no-cache` if `Cache-Control` is absent.
 *
 * @returns undefined if no directive applies.
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
