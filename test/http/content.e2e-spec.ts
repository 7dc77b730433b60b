import { randomBytes } from 'node:crypto';
import zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestResponse } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { freePort } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { redisClient } from '../support/redis-client.ts';
import { TestRedis } from '../support/redis.ts';

const SETTINGS = {
  PROXY_THREADS: 1,
  ADMIN_TOKEN: 'operator',
  ACCESS_TOKEN: 'reader',
  REDIS_MAX_VALUE_BYTES: 4_194_304,
  // What one test has cached is cached for the next.
  CACHE_TTL_MS: 3_600_000,
  HTTP_CONTENT_TYPES: '*.html=text/html; charset=utf-8,*.json=application/json,*.txt=text/plain',
  HTTP_CONTENT_ENCODINGS: 'gzip:*=gzip,br:*=br,zstd:*=zstd',
  HTTP_COMPRESSION: 'br,gzip,zstd',
};
const READER = { authorization: 'Bearer reader' };
const HTML = `<!doctype html><title>A page</title>${'<p>with some text</p>'.repeat(200)}`;
const JSON_TEXT = JSON.stringify(Array.from({ length: 500 }, (_, id) => ({ id, name: `name ${id}` })));

const ENCODE = { gzip: zlib.gzipSync, br: zlib.brotliCompressSync, zstd: zlib.zstdCompressSync } as const;
const DECODE = { gzip: zlib.gunzipSync, br: zlib.brotliDecompressSync, zstd: zlib.zstdDecompressSync } as const;
const CODINGS = ['gzip', 'br', 'zstd'] as const;

/** Headers of a response that must not depend on the code that serves it, or on when it is sent. */
function headersOf({ headers }: TestResponse): object {
  const { date, age, 'cache-status': cacheStatus, ...others } = headers;
  const status = String(cacheStatus).replace(/ttl=\d+/, 'ttl=…');
  return { ...others, status, hasDate: date !== undefined, hasAge: age !== undefined };
}

describeOwn('HTTP content', () => {
  let redis: TestRedis;
  let proxies: Record<'on' | 'off', TestProxy>;
  let respPort: number;

  beforeAll(async () => {
    redis = await TestRedis.start();
    respPort = await freePort();
    const settings = { ...SETTINGS, REDIS_URL: redis.url };
    const [on, off] = await Promise.all([
      TestProxy.start({ ...settings, HTTP_FAST_PATH: 'on', RESP_PORT: respPort }),
      TestProxy.start({ ...settings, HTTP_FAST_PATH: 'off' }),
    ]);
    proxies = { on, off };
  });
  afterAll(async () => {
    await Promise.all(Object.values(proxies ?? {}).map((proxy) => proxy.stop()));
    await redis?.stop();
  });

  /** Reads a path from both proxies, which must send the same, and returns the response of one of them. */
  async function read(path: string, headers: Readonly<Record<string, string>> = {}): Promise<TestResponse> {
    const request = { headers: { ...READER, ...headers } };
    const [on, off] = await Promise.all([proxies.on.request(path, request), proxies.off.request(path, request)]);
    expect([on.status, headersOf(on)]).toEqual([off.status, headersOf(off)]);
    expect(on.body.equals(off.body)).toBe(true);
    return on;
  }
  const readKey = (key: string | Buffer, headers: Readonly<Record<string, string>> = {}) =>
    read(`/v1/keys/${encodeKey(key)}`, headers);
  const encodeKey = (key: string | Buffer): string =>
    [...Buffer.from(key)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
  const entries = async () => (await proxies.on.stats()).entries;

  it.each([
    ['page:1.html', 'text/html; charset=utf-8'],
    ['page.json.html', 'text/html; charset=utf-8'],
    ['a/b.json', 'application/json'],
    [Buffer.from([0xff, 0, 0x2e, 0x74, 0x78, 0x74]), 'text/plain'],
  ])('gives a value the type of the first pattern that matches its key: %j', async (key, type) => {
    const value = '{"content":"<h1>of a page</h1>"}';
    await redis.client.set(key, value);
    for (const condition of ['', '', '"none"']) {
      const response = await readKey(key, condition === '' ? {} : { 'if-none-match': condition });
      expect(response).toMatchObject({ status: 200, text: value });
      expect(response.headers).toMatchObject({
        'content-type': type,
        'content-security-policy': "default-src 'none'; sandbox",
      });
    }
  });

  it('gives the fields of a hash the type and the coding of its key, and its JSON the type of JSON', async () => {
    await redis.client.hset('gzip:hash.html', 'field', ENCODE.gzip(HTML), 'text', 'x');
    const field = await read('/v1/hashes/gzip:hash.html/field');
    expect([field.headers['content-type'], field.text]).toEqual(['text/html; charset=utf-8', HTML]);
    const encoded = await read('/v1/hashes/gzip:hash.html/field', { 'accept-encoding': 'gzip' });
    expect([encoded.headers['content-encoding'], String(zlib.gunzipSync(encoded.body))]).toEqual(['gzip', HTML]);
    const whole = await read('/v1/hashes/gzip:hash.html');
    expect([whole.headers['content-type'], whole.json.text]).toEqual(['application/json', 'x']);
  });

  describe.each(CODINGS)('of a value that is stored as %s', (coding) => {
    const key = `${coding}:page.html`;
    const stored = ENCODE[coding](HTML);
    const plainHeaders = { 'content-type': 'text/html; charset=utf-8', vary: 'Accept-Encoding' };
    beforeAll(() => redis.client.set(key, stored));

    it('passes it through to a client that accepts the coding', async () => {
      for (let i = 0; i < 2; i++) {
        const { status, body, headers } = await readKey(key, { 'accept-encoding': `deflate, ${coding}` });
        expect([status, body.equals(stored)]).toEqual([200, true]);
        expect(headers).toMatchObject({
          ...plainHeaders,
          'content-encoding': coding,
          'content-length': `${stored.length}`,
        });
      }
    });

    it.each([undefined, 'deflate', '', `${coding};q=0, *;q=0.5`, `identity, ${coding};q=0.5`, 'deflate, identity;q=0'])(
      'decompresses it for a client that sends Accept-Encoding: %j',
      async (accept) => {
        for (let i = 0; i < 2; i++) {
          const { status, text, headers } = await readKey(
            key,
            accept === undefined ? {} : { 'accept-encoding': accept },
          );
          expect([status, text]).toEqual([200, HTML]);
          expect(headers).toMatchObject({ ...plainHeaders, 'content-length': `${HTML.length}` });
          expect(headers).not.toHaveProperty('content-encoding');
        }
      },
    );

    it('has an ETag for each form, which HEAD, conditions and ranges refer to', async () => {
      const forms = [{ 'accept-encoding': coding }, {}] as Readonly<Record<string, string>>[];
      const etags = await Promise.all(forms.map(async (form) => String((await readKey(key, form)).headers.etag)));
      expect(new Set(etags).size).toBe(2);
      for (const [i, form] of forms.entries()) {
        const whole = await readKey(key, form);
        const matching = await readKey(key, { ...form, 'if-none-match': `"other", ${etags[i]}` });
        expect([matching.status, matching.headers.vary, matching.headers.etag]).toEqual([
          304,
          'Accept-Encoding',
          etags[i],
        ]);
        expect((await readKey(key, { ...form, 'if-none-match': etags[1 - i] })).status).toBe(200);
        const head = await proxies.on.request(`/v1/keys/${key}`, { method: 'HEAD', headers: { ...READER, ...form } });
        expect([head.status, headersOf(head)]).toEqual([200, headersOf(whole)]);
        const part = await readKey(key, { ...form, range: 'bytes=5-9', 'if-range': etags[i] });
        expect([part.status, part.body]).toEqual([206, whole.body.subarray(5, 10)]);
        expect(part.headers).toMatchObject({ etag: etags[i], 'content-range': `bytes 5-9/${whole.body.length}` });
        expect(part.headers['content-encoding']).toBe(whole.headers['content-encoding']);
      }
    });

    it('reports a value in another coding to a client that needs it decompressed', async () => {
      const bad = `${coding}:bad`;
      await redis.client.set(bad, 'as it is');
      for (let i = 0; i < 2; i++) {
        const { status, json, headers } = await readKey(bad);
        expect([status, json.code]).toEqual([502, 'invalid-encoding']);
        expect(headers).not.toHaveProperty('content-encoding');
      }
      expect(await readKey(bad, { 'accept-encoding': coding })).toMatchObject({ status: 200, text: 'as it is' });
    });

    it('is stopped at REDIS_MAX_VALUE_BYTES, and the memory of the process stays flat', async () => {
      const [fits, bomb] = [`${coding}:fits`, `${coding}:bomb`];
      await redis.client.set(fits, ENCODE[coding](Buffer.alloc(SETTINGS.REDIS_MAX_VALUE_BYTES)));
      expect((await readKey(fits)).body.length).toBe(SETTINGS.REDIS_MAX_VALUE_BYTES);
      await redis.client.set(bomb, zeros(coding));
      const before = await residentBytes(proxies.on);
      for (let i = 0; i < 3; i++) {
        const { status, json } = await readKey(bomb);
        expect([status, json.code]).toEqual([502, 'value-too-large']);
        expect(json.detail).toMatch(/decompressed/);
      }
      expect((await residentBytes(proxies.on)) - before).toBeLessThan(64 * 2 ** 20);
    });
  });

  it('gives the stored bytes to /v1/mget, to the Redis protocol and to Upstash’s REST API', async () => {
    const stored = ENCODE.gzip(HTML);
    await redis.client.set('gzip:other.html', stored);
    await readKey('gzip:other.html');
    const mget = await proxies.on.request('/v1/mget', {
      method: 'POST',
      headers: { ...READER, 'content-type': 'application/json', 'accept-encoding': 'gzip' },
      body: '{"keys":["gzip:other.html"]}',
    });
    expect(mget.headers).not.toHaveProperty('content-encoding');
    expect(mget.json.results).toMatchObject([{ value: stored.toString('base64'), encoding: 'base64' }]);
    const headers = { ...READER, 'upstash-encoding': 'base64' };
    expect((await proxies.on.request('/get/gzip:other.html', { headers })).json.result).toBe(stored.toString('base64'));
    const client = redisClient(`redis://:reader@127.0.0.1:${respPort}`);
    try {
      expect((await client.getBuffer('gzip:other.html'))?.equals(stored)).toBe(true);
    } finally {
      client.disconnect();
    }
  });

  describe('with HTTP_COMPRESSION', () => {
    beforeAll(async () => {
      await redis.client.mset({ 'data.json': JSON_TEXT, 'small.json': '{}', 'data.bin': JSON_TEXT });
      await redis.client.set('random.txt', randomBytes(5000));
      await redis.client.hset('hash', Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, `v${i}`])));
      await redis.client.rpush('list', ...Array.from({ length: 500 }, (_, i) => `element ${i}`));
    });

    it.each(CODINGS)('compresses a value with %s if the client accepts nothing else', async (coding) => {
      for (let i = 0; i < 2; i++) {
        const { status, body, headers } = await readKey('data.json', { 'accept-encoding': coding });
        expect([status, String(DECODE[coding](body))]).toEqual([200, JSON_TEXT]);
        expect(body.length).toBeLessThan(JSON_TEXT.length / 3);
        expect(headers).toMatchObject({
          'content-encoding': coding,
          'content-length': `${body.length}`,
          'content-type': 'application/json',
          vary: 'Accept-Encoding',
        });
      }
    });

    it.each([
      ['gzip, deflate, br, zstd', 'br'],
      ['gzip, zstd', 'gzip'],
      ['br;q=0.5, zstd', 'zstd'],
      ['*', 'br'],
      ['identity, br;q=0.1', undefined],
      ['br;q=0, gzip;q=0', undefined],
      [undefined, undefined],
    ])('selects the coding by %j: %s', async (accept, coding) => {
      const { headers } = await readKey('data.json', accept === undefined ? {} : { 'accept-encoding': accept });
      expect([headers['content-encoding'], headers.vary]).toEqual([coding, 'Accept-Encoding']);
    });

    it('sends small values, other types, and values that do not get smaller as they are, from one entry', async () => {
      for (const key of ['small.json', 'data.bin', 'random.txt']) {
        const value = await redis.client.getBuffer(key);
        const before = await entries();
        for (let i = 0; i < 3; i++) {
          const { body, headers } = await readKey(key, { 'accept-encoding': 'br' });
          expect(body.equals(value ?? Buffer.alloc(0))).toBe(true);
          expect([headers['content-encoding'], headers.vary]).toEqual([
            undefined,
            key === 'data.bin' ? undefined : 'Accept-Encoding',
          ]);
        }
        expect([key, (await entries()) - before]).toEqual([key, 1]);
      }
    });

    it('has an ETag for each form, which HEAD and conditions refer to', async () => {
      const forms = ['identity', ...CODINGS].map((coding) => ({ 'accept-encoding': coding }));
      const etags = await Promise.all(forms.map(async (form) => (await readKey('data.json', form)).headers.etag));
      expect(new Set(etags).size).toBe(4);
      for (const [i, form] of forms.entries()) {
        const whole = await readKey('data.json', form);
        const matching = await readKey('data.json', { ...form, 'if-none-match': String(etags[i]) });
        expect([matching.status, matching.headers.vary]).toEqual([304, 'Accept-Encoding']);
        expect((await readKey('data.json', { ...form, 'if-none-match': String(etags[(i + 1) % 4]) })).status).toBe(200);
        const head = await proxies.on.request('/v1/keys/data.json', {
          method: 'HEAD',
          headers: { ...READER, ...form },
        });
        expect([head.status, headersOf(head)]).toEqual([200, headersOf(whole)]);
      }
    });

    it.each(['/v1/hashes/hash', '/v1/lists/list', '/v1/lists/list?start=10', '/v1/hashes/hash/f1'])(
      'compresses the JSON of other types: %s',
      async (path) => {
        const plain = await read(path);
        for (let i = 0; i < 2; i++) {
          const { headers, body } = await read(path, { 'accept-encoding': 'gzip' });
          const isJson = plain.body.length > 1024;
          expect(headers['content-encoding']).toBe(isJson ? 'gzip' : undefined);
          expect(isJson ? zlib.gunzipSync(body) : body).toEqual(plain.body);
        }
      },
    );
  });

  it('leaves the cache in order', async () => {
    expect(await proxies.on.problemInMemory()).toBeUndefined();
    expect(await proxies.off.problemInMemory()).toBeUndefined();
  });

  /** Returns a GiB of zeros: several streams of the coding if one may follow the other. */
  function zeros(coding: (typeof CODINGS)[number]): Buffer {
    const GiB = 2 ** 30;
    if (coding === 'br') {
      return zlib.brotliCompressSync(Buffer.alloc(GiB), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 0 } });
    }
    const part = ENCODE[coding](Buffer.alloc(GiB / 64));
    return Buffer.concat(Array.from({ length: 64 }, () => part));
  }

  async function residentBytes(proxy: TestProxy): Promise<number> {
    const { text } = await proxy.get('/metrics');
    return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1]);
  }
});
