import { Buffer } from 'node:buffer';
import { MAX_KEY_BYTES } from '../../access/key-length.ts';
import { countMembers, parseJsonBody } from '../request/json-body.ts';
import { type Problem, problem } from '../response/problem.ts';

/** Keys that one request may name. */
export const MAX_KEYS = 1000;
/** Bytes of all keys together. */
export const MAX_KEYS_BYTES = MAX_KEY_BYTES;

/** The keys that the body of a request names, `{"keys": […]}`, or what is wrong with it. */
export function parseMget(body: Buffer): readonly Buffer[] | Problem {
  const named = parseJsonBody(body);
  if (!isObject(named) || !Array.isArray(named.keys) || Object.keys(named).length !== 1) {
    return problem('bad-request', 'The body must be JSON of the form {"keys": ["a key", {"base64": "AP8="}]}.');
  }
  const { keys } = named as { keys: unknown[] };
  if (keys.length > MAX_KEYS) return problem('body-too-large', `The request names more than ${MAX_KEYS} keys.`);
  const parsed: Buffer[] = [];
  let bytes = 0;
  for (const [i, key] of keys.entries()) {
    const buffer = parseKey(key);
    if (buffer === undefined) return problem('bad-key', `keys[${i}] must be a string or {"base64": "…"}.`);
    if (buffer.length === 0) return problem('bad-key', `keys[${i}] is empty.`);
    bytes += buffer.length;
    if (bytes > MAX_KEYS_BYTES) return problem('body-too-large', `The keys exceed ${MAX_KEYS_BYTES} bytes in total.`);
    parsed.push(buffer);
  }
  // Of two members with one name, JSON.parse drops the first, and its keys would have no result.
  if (countMembers(body) > 1 + keys.filter(isObject).length) {
    return problem('bad-request', 'The body has duplicate member names.');
  }
  return parsed;
}

/** A text stands for its UTF-8; bytes that are none are given in base64. */
function parseKey(key: unknown): Buffer | undefined {
  if (typeof key === 'string') return key.isWellFormed() ? Buffer.from(key) : undefined;
  if (!isObject(key) || typeof key.base64 !== 'string' || Object.keys(key).length !== 1) return undefined;
  const bytes = Buffer.from(key.base64, 'base64');
  // Node.js reads over what is no base64.
  return bytes.toString('base64') === key.base64 ? bytes : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
