import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type JsonPart, MAX_RESULTS_BYTES, ResultsBody } from '../http/response/json/results-body.ts';
import { type RestEncoding, type RestValue, RestReply, partsOf } from './rest-reply.ts';

const bytes = fc.uint8Array().map((each) => Buffer.from(each));
const text = fc.string({ unit: 'binary' }).map((each) => Buffer.from(each));

const nested = (string: fc.Arbitrary<Buffer>): fc.Arbitrary<RestValue> =>
  fc.letrec<{ value: RestValue }>((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, string, fc.constant(null), fc.integer(), fc.array(tie('value'))),
  })).value;

/** Decodes a result as a client does. */
function decoded(json: unknown, encoding: BufferEncoding): RestValue {
  if (Array.isArray(json)) return json.map((each) => decoded(each, encoding));
  return typeof json === 'string' ? Buffer.from(json, encoding) : (json as null | number);
}

async function rendered(parts: readonly JsonPart[]): Promise<unknown> {
  const body = await ResultsBody.of(['', ''], [{ parts, counted: true }], '', MAX_RESULTS_BYTES);
  return JSON.parse(String(await body.write((bytes) => Buffer.alloc(bytes))));
}

const overTheWire = (value: RestValue, encoding: RestEncoding): Promise<unknown> => rendered(partsOf(value, encoding));

/** Encodes a value in RESP2. */
function encode(value: RestValue): Buffer {
  if (value === null) return Buffer.from('$-1\r\n');
  if (typeof value === 'number') return Buffer.from(`:${value}\r\n`);
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]);
  if ('reply' in value) return value.reply;
  return Buffer.concat([Buffer.from(`*${value.length}\r\n`), ...value.map(encode)]);
}

describe('RestReply', () => {
  it('encodes strings of any depth in base64 without loss', async () => {
    await fc.assert(
      fc.asyncProperty(nested(bytes), async (value) => {
        expect(decoded(await overTheWire(value, 'base64'), 'base64')).toEqual(value);
      }),
    );
  });

  it('encodes UTF-8 strings as text without loss', async () => {
    await fc.assert(
      fc.asyncProperty(nested(text), async (value) => {
        expect(decoded(await overTheWire(value, 'utf8'), 'utf8')).toEqual(value);
      }),
    );
  });

  it('replaces invalid UTF-8 by U+FFFD', async () => {
    expect(await overTheWire([Buffer.from([0x61, 0xff, 0x62])], 'utf8')).toEqual(['a\ufffdb']);
  });

  it('renders a reply of Redis as the values in it', async () => {
    const elements = fc.array(
      fc.oneof(
        bytes,
        fc.uint8Array({ minLength: 5000, maxLength: 9000 }).map((each) => Buffer.from(each)),
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof({ maxDepth: 3 }, nested(bytes), elements), async (value) => {
        const reply = new RestReply();
        const encoded = encode(value);
        reply.reply(Buffer.concat([encoded, Buffer.from('more')]), encoded.length);
        expect(decoded(((await rendered(reply.toParts('base64'))) as { result: unknown }).result, 'base64')).toEqual(
          value,
        );
      }),
    );
    const text = new RestReply();
    const encoded = encode([Buffer.from('é'), [], [null, [5]], Buffer.from([0x61, 0xff])]);
    text.reply(encoded, encoded.length);
    expect(await rendered(text.toParts('utf8'))).toEqual({ result: ['é', [], [null, [5]], 'a\ufffd'] });
  });

  it('does not encode errors', async () => {
    const reply = new RestReply();
    reply.error(`ERR ${Buffer.from('é').toString('latin1')}`);
    expect([reply.failure, await rendered(reply.toParts('base64'))]).toEqual(['ERR é', { error: 'ERR é' }]);
  });
});
