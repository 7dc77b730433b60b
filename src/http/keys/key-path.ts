import { MAX_KEY_BYTES } from '../../access/access.ts';

/** Prefix of the paths at which values are read. */
export const KEYS_PATH = '/v1/keys/';
/** Prefix of the paths at which cache entries are purged. */
export const ENTRIES_PATH = '/v1/cache/';

export type KeyProblem = 'empty' | 'bad-encoding' | 'too-long';

const PERCENT = 0x25;

/**
 * Decodes the key in a request target: the bytes after `prefix`, up to the query. Any byte is allowed, percent-encoded if
 * necessary; a slash may be plain. node:http decodes the target as Latin-1, one character for each byte.
 */
export function keyFromTarget(target: string, prefix: string): Buffer | KeyProblem {
  const path = pathOf(target);
  const query = path.indexOf('?');
  const encoded = path.slice(prefix.length, query === -1 ? undefined : query);
  if (encoded === '') return 'empty';
  const bytes = Buffer.from(encoded, 'latin1');
  const length = percentDecode(bytes, 0, bytes.length, bytes);
  if (length === -1) return 'bad-encoding';
  return length > MAX_KEY_BYTES ? 'too-long' : bytes.subarray(0, length);
}

/**
 * Replaces the key in a path by a constant. Routers decode path parameters as UTF-8, which a key need not be; handlers
 * read the key from the original target.
 */
export function hideKey(url: string): string {
  const path = pathOf(url);
  for (const prefix of [KEYS_PATH, ENTRIES_PATH]) if (path.startsWith(prefix)) return `${prefix}key`;
  return url;
}

/** Returns the path and query of a target, which may be in absolute form (RFC 9112, section 3.2.2). */
export function pathOf(target: string): string {
  if (target.startsWith('/')) return target;
  const authority = /^[^/?#]*:\/\/[^/?#]*/.exec(target)?.[0].length ?? target.length;
  return target.startsWith('/', authority) ? target.slice(authority) : `/${target.slice(authority)}`;
}

/**
 * Decodes bytes [from, to) of `source` to the start of `target`, which may be the same memory. Returns the number of
 * decoded bytes, or -1 if a `%` is not followed by two hexadecimal digits.
 */
export function percentDecode(source: Uint8Array, from: number, to: number, target: Uint8Array): number {
  let length = 0;
  for (let i = from; i < to; i++) {
    if (source[i] !== PERCENT) {
      target[length++] = source[i];
      continue;
    }
    if (i + 2 >= to) return -1;
    const high = hexDigit(source[i + 1]);
    const low = hexDigit(source[i + 2]);
    if (high === -1 || low === -1) return -1;
    target[length++] = (high << 4) | low;
    i += 2;
  }
  return length;
}

/** Returns the value of a hexadecimal digit; -1 for any other byte. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
