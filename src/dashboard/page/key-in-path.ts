/**
 * A key as it stands in a path, of which nothing is left to be understood in another way: slashes of either kind, tabs and
 * the like are escaped. Undefined: URLs cannot have it, as they make another path of `.`, `..` and `%2e`.
 *
 * @param encoded what is typed has escapes of its own, which stay as they are.
 */
export function keyInPath(typed: string, encoded: boolean): string | undefined {
  const text = typed.toWellFormed();
  const key = encoded ? text.replaceAll(/[^\w.~%-]+/g, encodeURIComponent) : encodeURIComponent(text);
  const path = `/v1/keys/${key}`;
  return new URL(path, 'http://proxy').pathname === path ? key : undefined;
}
