import assert from 'node:assert/strict';
import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { MAX_KEYS, MAX_KEYS_BYTES, parseMget } from './mget-request.ts';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A straightforward parser: the keys in a body, or the code of the problem. */
function modelMget(body: Buffer): readonly Buffer[] | string {
  let named: unknown;
  try {
    if (!isUtf8(body)) return 'bad-request';
    named = JSON.parse(body.toString().replace(/^\ufeff/, ''));
  } catch {
    return 'bad-request';
  }
  const fields = Object.entries(named ?? {}) as [string, unknown][];
  if (typeof named !== 'object' || fields.length !== 1 || fields[0][0] !== 'keys') return 'bad-request';
  const keys = fields[0][1];
  if (!Array.isArray(keys)) return 'bad-request';
  if (keys.length > MAX_KEYS) return 'body-too-large';
  const found: Buffer[] = [];
  for (const each of keys as unknown[]) {
    const key = modelKey(each);
    if (key === undefined || key.length === 0) return 'bad-key';
    found.push(key);
    if (Buffer.concat(found).length > MAX_KEYS_BYTES) return 'body-too-large';
  }
  return colonsIn(body.toString()) === colonsIn(JSON.stringify(named)) ? found : 'bad-request';
}

/** Counts the colons outside of strings: one for each member. */
function colonsIn(json: string): number {
  return json.replace(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1;
}

function modelKey(key: unknown): Buffer | undefined {
  if (typeof key === 'string') return Buffer.from(key).toString() === key ? Buffer.from(key) : undefined;
  if (typeof key !== 'object' || key === null || Array.isArray(key)) return undefined;
  const { base64, ...rest } = key as Record<string, unknown>;
  if (typeof base64 !== 'string' || Object.keys(rest).length > 0 || !BASE64.test(base64)) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  // Unused bits must be zero, so that each byte sequence has one spelling.
  return bytes.toString('base64') === base64 ? bytes : undefined;
}

const key = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 5 }) },
  fc.string({ unit: fc.constantFrom('\ud800', '\udc00', 'a', '\0', '"') }),
  fc.uint8Array({ maxLength: 5 }).map((bytes) => ({ base64: Buffer.from(bytes).toString('base64') })),
  fc.string({ unit: fc.constantFrom('A', '=', '-', '/', '+', 'B', ' '), maxLength: 6 }).map((base64) => ({ base64 })),
  fc.constantFrom<unknown>(null, 1, [], {}, { base64: 1 }, { base64: 'AA==', more: 1 }, ['a'], true),
);
const likely = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .array(fc.oneof({ weight: 9, arbitrary: key }, fc.constant('k')), { maxLength: 6 })
      .map((keys) => ({ keys })),
  },
  fc.array(key, { maxLength: 3 }).map((keys) => ({ keys, more: 1 })),
  fc.integer({ min: MAX_KEYS - 1, max: MAX_KEYS + 1 }).map((count) => ({ keys: Array(count).fill('k') })),
  fc.integer({ min: MAX_KEYS_BYTES - 1, max: MAX_KEYS_BYTES + 1 }).map((length) => ({ keys: ['x'.repeat(length)] })),
  fc.jsonValue(),
);
/** JSON that is right, odd or broken: cut, with bytes changed, nested, with a byte order mark. */
const body = fc.oneof(
  { weight: 6, arbitrary: likely.map((value) => Buffer.from(JSON.stringify(value))) },
  fc.tuple(likely, fc.nat(), fc.nat(255)).map(([value, at, byte]) => {
    const bytes = Buffer.from(JSON.stringify(value));
    if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return bytes;
  }),
  fc.tuple(likely, fc.nat()).map(([value, at]) => {
    const bytes = Buffer.from(JSON.stringify(value));
    return bytes.subarray(0, at % (bytes.length + 1));
  }),
  likely.map((value) => Buffer.from(`\ufeff${JSON.stringify(value)}`)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  fc.nat(2000).map((depth) => Buffer.from(`{"keys":${'['.repeat(depth)}${']'.repeat(depth)}}`)),
  fc
    .constantFrom(
      '{"__proto__":{"keys":["a"]}}',
      '{"keys":["a"],"keys":["b"]}',
      '{"keys":["a"],"k\\u0065ys":["b"]}',
      '{"keys":["a",{"base64":"AA==","base64":"AQ=="}]}',
      '{"keys":["a\\":\\\\",{"base64":"AA=="}]}',
      '{"keys":{"length":1,"0":"a"}}',
      '"keys"',
    )
    .map((text) => Buffer.from(text)),
);

/** Parses any body as the model does, without an exception. */
export const mgetBody = fc.property(body, (bytes) => {
  const found = parseMget(bytes);
  assert.deepEqual('code' in found ? found.code : found, modelMget(bytes));
});
