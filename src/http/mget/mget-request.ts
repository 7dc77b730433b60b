import { Buffer } from 'node:buffer';
import { MAX_KEY_BYTES } from '../../access/access.ts';
import { countMembers, parseJsonBody } from '../request/json-body.ts';
import { type Problem, problem } from '../response/problem.ts';

/** Most keys in one request. */
export const MAX_KEYS = 1000;
/** Total length of the keys in one request. */
export const MAX_KEYS_BYTES = MAX_KEY_BYTES;

/** Parses the body of a request, `{"keys": […]}`; returns the keys, or the problem. */
export function parseMget(body: Buffer): readonly Buffer[] | Problem {
  const parsed = parseJsonBody(body);
  if (!isObject(parsed) || !Array.isArray(parsed.keys) || Object.keys(parsed).length !== 1) {
    return problem('bad-request', 'The body must be JSON of the form {"keys": ["a key", {"base64": "AP8="}]}.');
  }
  const { keys } = parsed as { keys: unknown[] };
  if (keys.length > MAX_KEYS) return problem('body-too-large', `The request names more than ${MAX_KEYS} keys.`);
  const buffers: Buffer[] = [];
  let bytes = 0;
  for (const [i, key] of keys.entries()) {
    const buffer = parseKey(key);
    if (buffer === undefined) return problem('bad-key', `keys[${i}] must be a string or {"base64": "…"}.`);
    if (buffer.length === 0) return problem('bad-key', `keys[${i}] is empty.`);
    bytes += buffer.length;
    if (bytes > MAX_KEYS_BYTES) return problem('body-too-large', `The keys exceed ${MAX_KEYS_BYTES} bytes in total.`);
    buffers.push(buffer);
  }
  // JSON.parse drops all but the last of duplicate members, and the keys of the others would have no result.
  if (countMembers(body) > 1 + keys.filter(isObject).length) {
    return problem('bad-request', 'The body has duplicate member names.');
  }
  return buffers;
}

/** Parses a key: a string, encoded as UTF-8, or an object with any bytes in base64. */
function parseKey(key: unknown): Buffer | undefined {
  if (typeof key === 'string') return key.isWellFormed() ? Buffer.from(key) : undefined;
  if (!isObject(key) || typeof key.base64 !== 'string' || Object.keys(key).length !== 1) return undefined;
  const bytes = Buffer.from(key.base64, 'base64');
  // Node.js ignores invalid characters.
  return bytes.toString('base64') === key.base64 ? bytes : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
