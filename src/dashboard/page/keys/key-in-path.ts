/**
 * Encodes a key for a URL path so that it cannot be normalised into another path: slashes, backslashes, tabs and the like
 * are escaped.
 *
 * @param encoded whether the typed text is percent-encoded already; its escapes are left as they are.
 * @returns undefined for a key that browsers cannot request, because URLs normalise it: `.`, `..` and `%2e`.
 */
export function keyInPath(typed: string, encoded: boolean): string | undefined {
  const key = percentEncoded(typed, encoded);
  const path = `/v1/keys/${key}`;
  return new URL(path, 'http://proxy').pathname === path ? key : undefined;
}

/**
 * Percent-encodes a key, prefix or pattern.
 *
 * @param encoded whether the typed text is percent-encoded already; its escapes are left as they are.
 */
export function percentEncoded(typed: string, encoded: boolean): string {
  const text = typed.toWellFormed();
  return encoded ? text.replaceAll(/[^\w.~%-]+/g, encodeURIComponent) : encodeURIComponent(text);
}
