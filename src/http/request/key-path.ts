import { MAX_KEY_BYTES } from '../../access/access.ts';

/** Prefix of the paths at which values are read. */
export const KEYS_PATH = '/v1/keys/';
/** Prefixes of the paths at which keys of other types than string are read. */
export const HASHES_PATH = '/v1/hashes/';
export const LISTS_PATH = '/v1/lists/';
export const SETS_PATH = '/v1/sets/';
export const SORTED_SETS_PATH = '/v1/sorted-sets/';
export const JSON_PATH = '/v1/json/';
/** Prefix of the paths at which cache entries are purged. */
export const ENTRIES_PATH = '/v1/cache/';
/** The path at which the most read keys are listed; a key of this name is purged there as well. */
export const HOT_KEYS_PATH = `${ENTRIES_PATH}hot-keys`;

/** All prefixes of keys. */
const KEY_PREFIXES = [KEYS_PATH, HASHES_PATH, LISTS_PATH, SETS_PATH, SORTED_SETS_PATH, JSON_PATH, ENTRIES_PATH];
/** Those whose paths may name a part of the value, a field or a member, after the key and a slash. */
const PREFIXES_WITH_PARTS: readonly string[] = [HASHES_PATH, SETS_PATH];

export type KeyProblem = 'empty' | 'bad-encoding' | 'too-long' | 'part-too-long';

const PERCENT = 0x25;

/**
 * Decodes the key in a request target: the bytes after `prefix`, up to the query, or up to the next slash if the path may name
 * a part of the value. Any byte is allowed, percent-encoded if necessary; any other slash may be plain. node:http decodes the
 * target as Latin-1, one character for each byte.
 */
export function keyFromTarget(target: string, prefix: string): Buffer | KeyProblem {
  const [key] = segmentsOf(target, prefix);
  return key === '' ? 'empty' : decode(key);
}

/** Decodes the name of a part of the value, which may be empty, as {@link keyFromTarget} does; undefined if there is none. */
export function partFromTarget(target: string, prefix: string): Buffer | KeyProblem | undefined {
  const [, part] = segmentsOf(target, prefix);
  return part === undefined ? undefined : decode(part, 'part-too-long');
}

/** Returns the encoded key of a target, and the encoded name of a part of its value if there is one. */
function segmentsOf(target: string, prefix: string): readonly [key: string, part?: string] {
  const [path] = splitTarget(target);
  const encoded = path.slice(prefix.length);
  const slash = PREFIXES_WITH_PARTS.includes(prefix) ? encoded.indexOf('/') : -1;
  return slash === -1 ? [encoded] : [encoded.slice(0, slash), encoded.slice(slash + 1)];
}

function decode(encoded: string, tooLong: KeyProblem = 'too-long'): Buffer | KeyProblem {
  const bytes = Buffer.from(encoded, 'latin1');
  const length = percentDecode(bytes, 0, bytes.length, bytes);
  if (length === -1) return 'bad-encoding';
  return length > MAX_KEY_BYTES ? tooLong : bytes.subarray(0, length);
}

/** Returns the prefix of the key in a target; undefined if it names none. */
export function keyPrefixOf(target: string): string | undefined {
  const path = pathOf(target);
  return KEY_PREFIXES.find((prefix) => path.startsWith(prefix));
}

/**
 * Replaces the key in a path, and the name of a part of its value, by constants. Routers decode path parameters as UTF-8,
 * which a key need not be; handlers read the key from the original target.
 */
export function hideKey(url: string): string {
  const prefix = keyPrefixOf(url);
  if (prefix === undefined || splitTarget(url)[0] === HOT_KEYS_PATH) return url;
  const [, part] = segmentsOf(url, prefix);
  return `${prefix}key${part === undefined ? '' : '/part'}`;
}

/** Returns the path and query of a target, which may be in absolute form (RFC 9112, section 3.2.2). */
export function pathOf(target: string): string {
  if (target.startsWith('/')) return target;
  const authority = /^[^/?#]*:\/\/[^/?#]*/.exec(target)?.[0].length ?? target.length;
  return target.startsWith('/', authority) ? target.slice(authority) : `/${target.slice(authority)}`;
}

/** Returns the path of a target, in either form, and its query, without the question mark; undefined if it has none. */
export function splitTarget(target: string): readonly [path: string, query: string | undefined] {
  const text = pathOf(target);
  const at = text.indexOf('?');
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/**
 * Decodes bytes [from, to) of `source` to `target` at `at`, which may be the same memory. Returns the end of the decoded
 * bytes, or -1 if a `%` is not followed by two hexadecimal digits.
 */
export function percentDecode(source: Uint8Array, from: number, to: number, target: Uint8Array, at = 0): number {
  let end = at;
  for (let i = from; i < to; i++) {
    if (source[i] !== PERCENT) {
      target[end++] = source[i];
      continue;
    }
    if (i + 2 >= to) return -1;
    const high = hexDigit(source[i + 1]);
    const low = hexDigit(source[i + 2]);
    if (high === -1 || low === -1) return -1;
    target[end++] = (high << 4) | low;
    i += 2;
  }
  return end;
}

/** Returns the value of a hexadecimal digit; -1 for any other byte. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
