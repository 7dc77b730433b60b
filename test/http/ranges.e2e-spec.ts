import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { Child } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** Distinct at every position, and longer than what is cached in one piece, or copied to the output buffer. */
const LONG = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i.toString(36).padStart(4, '0')).join(''));
const GZIPPED = gzipSync(LONG);
/** Exit status of curl if the server does not send the rest of a file. */
const CANNOT_RESUME = 33;

describeOwn('ranges', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let directory: string;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset({ short: 'hello from redis', long: LONG, empty: '', changing: LONG, uncached: LONG });
    await redis.client.set('gzip:long', GZIPPED);
    await redis.client.hset('hash', { name: 'Analytical Engine' });
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 1,
      ADMIN_TOKEN: 'operator',
      HTTP_CONTENT_TYPE: 'text/plain',
      HTTP_CONTENT_ENCODINGS: 'gzip:*=gzip',
    });
    directory = await mkdtemp(join(tmpdir(), 'ranges-'));
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
    await rm(directory, { recursive: true });
  });

  const curl = async (path: string, ...options: string[]): Promise<{ status: number | null; output: string }> => {
    const child = new Child('curl', ['-sS', ...options, `${proxy.url}${path}`], { env: { PATH: process.env.PATH } });
    return { status: await child.exit, output: child.output };
  };

  it.each(['loaded', 'cached'])('are parts of a value, byte for byte: %s', async (state) => {
    if (state === 'loaded') await proxy.admin('DELETE', '/v1/cache');
    for (const [from, to] of [
      [300_000, 399_999],
      [0, 0],
      [16_383, 32_768],
      [1, 399_999],
    ]) {
      if (state === 'loaded') await proxy.admin('DELETE', '/v1/cache/long');
      const { status, headers, body } = await proxy.key('long', { range: `bytes=${from}-${to}` });
      expect([status, headers['content-range'], headers['content-length']]).toEqual([
        206,
        `bytes ${from}-${to}/400000`,
        String(to - from + 1),
      ]);
      expect(body.equals(LONG.subarray(from, to + 1))).toBe(true);
      expect(headers['cache-status']).toMatch(state === 'loaded' ? /stored$/ : /hit; ttl=\d+$/);
    }
  });

  it('have the headers of the whole value, and are reads of the cache as others', async () => {
    const whole = await proxy.key('short');
    expect(whole.headers['accept-ranges']).toBe('bytes');
    const { hits } = await proxy.stats();
    const part = await proxy.key('short', { range: 'bytes=6-9' });
    expect((await proxy.stats()).hits).toBe(hits + 1);
    expect([part.status, part.text]).toEqual([206, 'from']);
    const changing = { age: '', 'cache-status': '', date: '' };
    expect({ ...part.headers, ...changing }).toEqual({
      ...whole.headers,
      ...changing,
      'content-length': '4',
      'content-range': 'bytes 6-9/16',
    });
    expect(part.headers).toMatchObject({
      'cache-control': 'max-age=60',
      'content-security-policy': expect.any(String),
    });
  });

  it.each([
    ['short', 'bytes=16-', 'bytes */16'],
    ['short', 'bytes=-0', 'bytes */16'],
    ['empty', 'bytes=0-', 'bytes */0'],
  ])('that a value does not have are 416: %s, %s', async (key, range, contentRange) => {
    const { status, headers, json } = await proxy.key(key, { range });
    expect([status, json.code, headers['content-range']]).toEqual([416, 'range-not-satisfiable', contentRange]);
  });

  it.each([
    ['several ranges', { range: 'bytes=0-1,3-4' }],
    ['another unit', { range: 'items=0-1' }],
    ['an invalid range', { range: 'bytes=4-1' }],
    ['If-Range with a date', { range: 'bytes=0-1', 'if-range': 'Fri, 31 Dec 9999 23:59:59 GMT' }],
    ['If-Range with another ETag', { range: 'bytes=0-1', 'if-range': '"other"' }],
  ])('are ignored: %s', async (_, headers) => {
    const { status, text, headers: received } = await proxy.key('short', headers);
    expect([status, text, received['content-range']]).toEqual([200, 'hello from redis', undefined]);
  });

  it('are ignored for HEAD and after If-None-Match, and with several Range fields', async () => {
    const { etag = '' } = (await proxy.key('short')).headers;
    const range = 'bytes=0-1';
    const head = await proxy.request('/v1/keys/short', { method: 'HEAD', headers: { range } });
    expect([head.status, head.headers['content-length'], head.headers['accept-ranges']]).toEqual([200, '16', 'bytes']);
    const unchanged = await proxy.key('short', { range, 'if-none-match': etag });
    expect([unchanged.status, unchanged.headers['accept-ranges']]).toEqual([304, undefined]);
    expect((await proxy.key('short', { range, 'if-range': etag })).status).toBe(206);
    const twice = `GET /v1/keys/short HTTP/1.1\r\nHost: x\r\nRange: ${range}\r\nRange: ${range}\r\nConnection: close\r\n\r\n`;
    expect(await exchange(proxy.url, twice)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it('are those of a field, and of JSON', async () => {
    const headers = { range: 'bytes=-6' };
    expect((await proxy.get('/v1/hashes/hash/name', headers)).text).toBe('Engine');
    expect((await proxy.get('/v1/hashes/hash', headers)).text).toBe('gine"}');
  });

  it('are those of the representation that was selected, which has its own ETag', async () => {
    const range = 'bytes=100-199';
    const gzip = { range, 'accept-encoding': 'gzip' };
    const encoded = await proxy.key('gzip:long', gzip);
    expect([encoded.status, encoded.headers['content-encoding']]).toEqual([206, 'gzip']);
    expect(encoded.headers['content-range']).toBe(`bytes 100-199/${GZIPPED.length}`);
    expect(encoded.body.equals(GZIPPED.subarray(100, 200))).toBe(true);
    const plain = await proxy.key('gzip:long', { range, 'accept-encoding': 'identity' });
    expect([plain.status, plain.headers['content-encoding']]).toEqual([206, undefined]);
    expect(plain.headers['content-range']).toBe(`bytes 100-199/${LONG.length}`);
    expect(plain.body.equals(LONG.subarray(100, 200))).toBe(true);
    const { etag = '' } = plain.headers;
    expect((await proxy.key('gzip:long', { ...gzip, 'if-range': etag })).status).toBe(200);
    expect((await proxy.key('gzip:long', { ...gzip, 'if-range': encoded.headers.etag ?? '' })).status).toBe(206);
  });

  describe('with curl', () => {
    it('reads a range', async () => {
      expect(await curl('/v1/keys/short', '-r', '-5')).toEqual({ status: 0, output: 'redis' });
      expect(await curl('/v1/keys/long', '-r', '4000-4007')).toEqual({ status: 0, output: '00rs00rt' });
    });

    it('resumes a download, unless the value has changed meanwhile', async () => {
      const file = join(directory, 'changing');
      const { etag = '' } = (await proxy.key('changing')).headers;
      const resume = () => curl('/v1/keys/changing', '-C', '-', '-o', file, '-H', `If-Range: ${etag}`);
      await writeFile(file, LONG.subarray(0, 123_456));
      expect((await resume()).status).toBe(0);
      expect((await readFile(file)).equals(LONG)).toBe(true);

      await writeFile(file, LONG.subarray(0, 123_456));
      await redis.client.set('changing', 'another value');
      await proxy.admin('DELETE', '/v1/cache/changing');
      // The whole, which curl does not append.
      expect((await resume()).status).toBe(CANNOT_RESUME);
      expect((await readFile(file)).equals(LONG.subarray(0, 123_456))).toBe(true);
      const whole = await curl('/v1/keys/changing', '-r', '2-', '-H', `If-Range: ${etag}`);
      expect(whole.output).toBe('another value');
    });
  });

  it('are sent in order when pipelined with other requests', async () => {
    await redis.client.set('cold', 'value of a cold key');
    const get = (key: string, ...headers: string[]): string =>
      [`GET /v1/keys/${key} HTTP/1.1`, 'Host: x', ...headers, '\r\n'].join('\r\n');
    const requests = [
      ...[get('short'), get('cold', 'Range: bytes=0-4'), get('short', 'Range: bytes=6-9'), get('cold')],
      get('short', 'Range: bytes=-5', 'Connection: close'),
    ];
    const responses = (await exchange(proxy.url, requests.join(''))).split(/HTTP\/1\.1 /).slice(1);
    expect(responses.map((text) => [text.slice(0, 3), text.slice(text.indexOf('\r\n\r\n') + 4)])).toEqual([
      ['200', 'hello from redis'],
      ['206', 'value'],
      ['206', 'from'],
      ['200', 'value of a cold key'],
      ['206', 'redis'],
    ]);
  });
});
