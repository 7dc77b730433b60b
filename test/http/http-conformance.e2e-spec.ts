import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** A status, or the code of a problem. */
type Expected = number | string;

/** More than the kernel buffers for a client that does not read. */
const LONG_BYTES = 1_000_000;
const CRLF = '\r\n';
const KEYS = '{"keys":["key"]}';
/** `KEYS` as one chunk, and the end of the body. */
const CHUNKS = `10\r\n${KEYS}\r\n0\r\n\r\n`;
const LAST = 'GET /health/live HTTP/1.1\r\nHost: last\r\nConnection: close\r\n\r\n';

const line = (text: string): string => `${text}\r\nHost: x\r\n\r\n`;
const withHost = (...hosts: string[]): string =>
  ['GET /v1/keys/key HTTP/1.1', ...hosts.map((host) => `Host: ${host}`), CRLF].join(CRLF);
const get = (...headers: string[]): string => ['GET /v1/keys/key HTTP/1.1', 'Host: x', ...headers, CRLF].join(CRLF);
const post = (headers: string, body: string, version = '1.1'): string =>
  `POST /v1/mget HTTP/${version}\r\nHost: x\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`;
const coded = (coding: string, body = CHUNKS): string => post(`Transfer-Encoding: ${coding}`, body);
const chunked = (body: string): string => coded('chunked', body);

/** Each is followed by a request for /health/live, whose 200 shows that the connection persists. */
const CASES: Record<string, [name: string, request: string, ...expected: Expected[]][]> = {
  'the Host header (RFC 9112, section 3.2)': [
    ['is a name', withHost('example.org'), 200, 200],
    ['is a name and a port', withHost('localhost:8080'), 200, 200],
    ['is a name and an empty port', withHost('localhost:'), 200, 200],
    ['is an IPv4 address', withHost('127.0.0.1:80'), 200, 200],
    ['is an IPv6 address', withHost('[::1]:80'), 200, 200],
    ['is a name with an underscore and a tilde', withHost('a_b~c'), 200, 200],
    ['is a name with encoded bytes', withHost('a%C3%A9'), 200, 200],
    ['is missing', withHost(), 'bad-request'],
    ['is missing in a HEAD request', withHost().replace('GET', 'HEAD'), 400],
    ['is missing in HTTP/1.0', 'GET /v1/keys/key HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', 200, 200],
    ['is there twice', withHost('a', 'b'), 'bad-request'],
    ['is there twice and the same', withHost('a', 'a'), 'bad-request'],
    ['is there twice in HTTP/1.0', withHost('a', 'b').replace('1.1', '1.0'), 'bad-request'],
    ['is empty', withHost(''), 'bad-request'],
    ['has a space', withHost('a b'), 'bad-request'],
    ['has a user', withHost('user@a'), 'bad-request'],
    ['has a path', withHost('a/b'), 'bad-request'],
    ['is a list', withHost('a,b'), 'bad-request'],
    ['has a port of letters', withHost('a:b'), 'bad-request'],
    ['has two ports', withHost('a:1:2'), 'bad-request'],
    ['has no name', withHost(':80'), 'bad-request'],
    ['has a bracket that does not end', withHost('[::1'), 'bad-request'],
    ['has a bad address in brackets', withHost('[1::2::3]'), 'bad-request'],
    ['has bytes behind the brackets', withHost('[::1]a'), 'bad-request'],
    ['has a % without digits', withHost('a%zz'), 'bad-request'],
    ['has a byte above 127', withHost('a\xe9'), 'bad-request'],
    ['is folded', withHost('a\r\n b'), 'bad-request'],
  ],
  'the request line': [
    ['with HTTP/2.0', line('GET /v1/keys/key HTTP/2.0'), 'http-version-not-supported'],
    ['with HTTP/0.9', line('GET /v1/keys/key HTTP/0.9'), 'http-version-not-supported'],
    ['with HTTP/3.1', line('GET /v1/keys/key HTTP/3.1'), 'http-version-not-supported'],
    ['with HTTP/1.2', line('GET /v1/keys/key HTTP/1.2'), 'http-version-not-supported'],
    ['with the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http-version-not-supported'],
    ['with HTTP/1.10', line('GET /v1/keys/key HTTP/1.10'), 'bad-request'],
    ['with a version of letters', line('GET /v1/keys/key HTTP/X.Y'), 'bad-request'],
    ['with a version in small letters', line('GET /v1/keys/key http/1.1'), 'bad-request'],
    ['without a version', 'GET /v1/keys/key\r\n\r\n', 'http-version-not-supported'],
    ['with a method in small letters', line('get /v1/keys/key HTTP/1.1'), 'not-implemented'],
    ['with an unknown method', line('FOO /v1/keys/key HTTP/1.1'), 'not-implemented'],
    ['with a method that starts like another', line('GETS /v1/keys/key HTTP/1.1'), 'not-implemented'],
    ['with a method of 5,000 letters', line(`${'A'.repeat(5000)} /v1/keys/key HTTP/1.1`), 'not-implemented'],
    ['with a method that this resource lacks', line('PURGE /v1/keys/key HTTP/1.1'), 'method-not-allowed', 200],
    ['with a tab', line('GET\t/v1/keys/key HTTP/1.1'), 'bad-request'],
    ['with a space in the target', line('GET /v1/keys/a key HTTP/1.1'), 'bad-request'],
    ['with a space before it', line(' GET /v1/keys/key HTTP/1.1'), 'bad-request'],
    ['with a space after it', line('GET /v1/keys/key HTTP/1.1 '), 'bad-request'],
    ['with a NUL', line('GET /v1/keys/\0key HTTP/1.1'), 'bad-request'],
    ['with a byte above 127', line('GET /v1/keys/k\xe9y HTTP/1.1'), 'bad-request'],
    ['with an empty line before it', `\r\n${get()}`, 200, 200],
    ['with a bare LF', get().replace('1.1\r\n', '1.1\n'), 'bad-request'],
    ['with a bare CR', get().replace('1.1\r\n', '1.1\r'), 'bad-request'],
    ['of no HTTP', 'hello\r\n\r\n', 'bad-request'],
    ['of TLS', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 'bad-request'],
  ],
  'the request target (RFC 9112, section 3.2)': [
    ['in absolute form', line('GET http://other:1/v1/keys/key HTTP/1.1'), 200, 200],
    ['in absolute form with https', line('GET HTTPS://other/v1/keys/key HTTP/1.1'), 200, 200],
    ['in absolute form without a path', line('GET http://other HTTP/1.1'), 200, 200],
    ['in absolute form without a Host header', 'GET http://other/ HTTP/1.1\r\n\r\n', 'bad-request'],
    ['in absolute form without a host', line('GET http:///v1/keys/key HTTP/1.1'), 'bad-request'],
    ['in absolute form with a user', line('GET http://user@other/v1/keys/key HTTP/1.1'), 'bad-request'],
    ['in absolute form of another scheme', line('GET ftp://other/v1/keys/key HTTP/1.1'), 'bad-request'],
    ['with a fragment', line('GET /v1/keys/key#fragment HTTP/1.1'), 'bad-request'],
    ['without a slash', line('GET v1/keys/key HTTP/1.1'), 'bad-request'],
    ['* of OPTIONS', line('OPTIONS * HTTP/1.1'), 204, 200],
    ['* of another method', line('GET * HTTP/1.1'), 'bad-request'],
    ['of CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 'method-not-allowed'],
    ['of CONNECT without a Host header', 'CONNECT a:80 HTTP/1.1\r\n\r\n', 'bad-request'],
  ],
  headers: [
    ['that are folded', get('A: b\r\n c'), 'bad-request'],
    ['with a space before the name', get(' A: b'), 'bad-request'],
    ['with a space before the colon', get('A : b'), 'bad-request'],
    ['with a space in the name', get('A b: c'), 'bad-request'],
    ['with a tab before the colon', get('A\t: b'), 'bad-request'],
    ['with an empty name', get(': b'), 'bad-request'],
    ['without a colon', get('A'), 'bad-request'],
    ['with a byte above 127 in the name', get('A\xe9: b'), 'bad-request'],
    ['with a byte above 127 in the value', get('A: b\xe9'), 200, 200],
    ['with a NUL in the name', get('A\0: b'), 'bad-request'],
    ['with a NUL in the value', get('A: b\0c'), 'bad-request'],
    ['with a control character in the value', get('A: b\x01c'), 'bad-request'],
    ['with a bare CR in the value', get('A: b\rc'), 'bad-request'],
    ['with a bare LF at the end', get('A: b').replace('b\r\n', 'b\n'), 'bad-request'],
    ['that are 2,000', get(...Array.from({ length: 1999 }, () => 'A: b')), 200, 200],
    ['that are more than 2,000', get(...Array.from({ length: 2000 }, () => 'A: b')), 'head-too-large'],
    [
      'whose last of 2,001 is a second Host',
      get(...Array.from({ length: 1999 }, () => 'A: b'), 'Host: b'),
      'head-too-large',
    ],
    ['that are too long', get(`A: ${'b'.repeat(300_000)}`), 'head-too-large'],
  ],
  'Content-Length': [
    ['', post('Content-Length: 16', KEYS), 200, 200],
    ['with zeros before it', post('Content-Length: 0016', KEYS), 200, 200],
    ['of a GET request', get('Content-Length: 5').concat('hello'), 200, 200],
    ['of a HEAD request', get('Content-Length: 5').replace('GET', 'HEAD').concat('hello'), 200, 200],
    ['with a plus sign', post('Content-Length: +16', KEYS), 'bad-request'],
    ['with a minus sign', post('Content-Length: -16', KEYS), 'bad-request'],
    ['that is a list', post('Content-Length: 16, 16', KEYS), 'bad-request'],
    ['that is there twice', post('Content-Length: 16\r\nContent-Length: 16', KEYS), 'bad-request'],
    ['that is there twice and differs', post('Content-Length: 16\r\nContent-Length: 17', KEYS), 'bad-request'],
    ['in hexadecimal digits', post('Content-Length: 0x10', KEYS), 'bad-request'],
    ['with a space in it', post('Content-Length: 1 6', KEYS), 'bad-request'],
    ['with a decimal point', post('Content-Length: 16.0', KEYS), 'bad-request'],
    ['that is empty', post('Content-Length:', KEYS), 'bad-request'],
    ['beyond all numbers', post(`Content-Length: ${'9'.repeat(30)}`, KEYS), 'bad-request'],
    ['before Transfer-Encoding', post('Content-Length: 16\r\nTransfer-Encoding: chunked', CHUNKS), 'bad-request'],
    ['after Transfer-Encoding', post('Transfer-Encoding: chunked\r\nContent-Length: 16', CHUNKS), 'bad-request'],
  ],
  'Transfer-Encoding': [
    ['chunked', coded('chunked'), 200, 200],
    ['in capital letters', coded('CHUNKED'), 200, 200],
    ['behind a tab', coded('\tchunked'), 200, 200],
    ['with an empty element', coded(', chunked'), 200, 200],
    ['gzip, of a POST request', coded('gzip'), 'bad-request'],
    ['gzip, of a GET request', get('Transfer-Encoding: gzip'), 'bad-request'],
    ['identity', coded('identity'), 'bad-request'],
    ['chunked, gzip', coded('chunked, gzip'), 'bad-request'],
    ['chunked, gzip, of a GET request', get('Transfer-Encoding: chunked, gzip'), 'bad-request'],
    ['chunked twice', coded('chunked, chunked'), 'bad-request'],
    ['chunked and gzip in two headers', coded('chunked\r\nTransfer-Encoding: gzip'), 'bad-request'],
    ['gzip, chunked', coded('gzip, chunked'), 'not-implemented'],
    ['gzip and chunked in two headers', coded('gzip\r\nTransfer-Encoding: chunked'), 'not-implemented'],
    ['that is unknown', coded('xchunked'), 'bad-request'],
    ['with a parameter', coded('chunked;a=b'), 'bad-request'],
    ['in quotes', coded('"chunked"'), 'bad-request'],
    ['that is empty', coded(''), 'bad-request'],
    ['behind a vertical tab', coded('\x0bchunked'), 'bad-request'],
    ['of HTTP/1.0', post('Connection: keep-alive\r\nTransfer-Encoding: chunked', CHUNKS, '1.0'), 200],
    [
      'of a GET request of HTTP/1.0',
      get('Connection: keep-alive', 'Transfer-Encoding: chunked').replace('1.1', '1.0').concat('0\r\n\r\n'),
      200,
    ],
  ],
  chunks: [
    ['with zeros before the size', chunked(`0010\r\n${KEYS}\r\n0\r\n\r\n`), 200, 200],
    ['with an extension', chunked(`10;a=b\r\n${KEYS}\r\n0\r\n\r\n`), 200, 200],
    ['with a quoted extension', chunked(`10;a="b;c"\r\n${KEYS}\r\n0\r\n\r\n`), 200, 200],
    ['with a trailer', chunked(`10\r\n${KEYS}\r\n0\r\nA: b\r\n\r\n`), 200, 200],
    ['with Content-Length in the trailer', chunked(`10\r\n${KEYS}\r\n0\r\nContent-Length: 5\r\n\r\n`), 'bad-request'],
    ['with extensions of 20 kB', chunked(`10;${'a'.repeat(20_000)}\r\n${KEYS}\r\n0\r\n\r\n`), 'body-too-large'],
    ['with a size of letters', chunked(`xy\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with 0x before the size', chunked(`0x10\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a sign before the size', chunked(`+10\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a minus before the size', chunked(`-10\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with an underscore in the size', chunked(`1_0\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a space before the size', chunked(` 10\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a space after the size', chunked(`10 \r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['without a size', chunked(`\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a size beyond all numbers', chunked(`${'f'.repeat(20)}\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a bare semicolon', chunked(`10;\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a bare LF in the extension', chunked(`10;a\nb\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a bare CR in the extension', chunked(`10;a\rb\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a NUL in the extension', chunked(`10;a\0b\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a bare LF after the size', chunked(`10\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['with a bare CR after the size', chunked(`10\r${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
    ['without CRLF after the data', chunked(`10\r\n${KEYS}0\r\n\r\n`), 'bad-request'],
    ['that are longer than they say', chunked(`f\r\n${KEYS}\r\n0\r\n\r\n`), 'bad-request'],
  ],
  Expect: [
    ['100-continue', post('Expect: 100-continue\r\nContent-Length: 16', KEYS), 100, 200, 200],
    ['100-Continue', post('Expect: 100-Continue\r\nContent-Length: 16', KEYS), 100, 200, 200],
    ['100-continue, of a GET request', get('Expect: 100-continue'), 100, 200, 200],
    ['100-continue, of HTTP/1.0', post('Expect: 100-continue\r\nContent-Length: 16', KEYS, '1.0'), 200],
    ['nothing', get('Expect:'), 200, 200],
    ['what is unknown', post('Expect: 200-ok\r\nContent-Length: 16', KEYS), 'expectation-failed'],
    ['what only looks like 100-continue', get('Expect: x-100-continue'), 'expectation-failed'],
    ['something unknown beside 100-continue', get('Expect: 100-continue, a'), 'expectation-failed'],
    ['something, without a Host header', 'GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n', 'bad-request'],
  ],
  Connection: [
    ['close', get('Connection: close'), 200],
    ['close, in capital letters', get('Connection: CLOSE'), 200],
    ['close, in a list', get('Connection: foo, close'), 200],
    ['close, in a second header', get('Connection: keep-alive', 'Connection: close'), 200],
    ['close and keep-alive', get('Connection: close, keep-alive'), 200],
    ['keep-alive of HTTP/1.0', get('Connection: keep-alive').replace('1.1', '1.0'), 200, 200],
    ['of HTTP/1.0 without a header', get().replace('1.1', '1.0'), 200],
    ['with an upgrade that is ignored', get('Connection: upgrade', 'Upgrade: websocket'), 200, 200],
    ['with two upgrades that are ignored', get('Connection: upgrade', 'Upgrade: h2c').repeat(2), 200, 200, 200],
    [
      'with an upgrade to HTTP/2',
      get('Connection: upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
      200,
      200,
    ],
    ['with an upgrade and a body', post('Connection: upgrade\r\nUpgrade: a\r\nContent-Length: 16', KEYS), 200, 200],
    [
      'with an upgrade and chunks',
      post('Connection: upgrade\r\nUpgrade: a\r\nTransfer-Encoding: chunked', CHUNKS),
      200,
      200,
    ],
    [
      'with an upgrade, without a Host header',
      'GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n',
      'bad-request',
    ],
  ],
  'responses without a body': [
    ['to HEAD', get().replace('GET', 'HEAD'), 200, 200],
    ['to HEAD for a key that there is not', get().replace('GET', 'HEAD').replace('keys/key', 'keys/none'), 404, 200],
    ['to HEAD where it is not allowed', get().replace('GET /v1/keys/key', 'HEAD /v1/mget'), 405, 200],
    ['that say 304', get('If-None-Match: *'), 304, 200],
  ],
};

interface ParsedResponse {
  readonly head: string;
  readonly status: number;
  readonly body: string;
}

function responsesIn(text: string): ParsedResponse[] {
  return text
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .filter((part) => part !== '')
    .map((part) => {
      const end = part.indexOf('\r\n\r\n');
      return { head: part.slice(0, end + 2), status: Number(part.slice(9, 12)), body: part.slice(end + 4) };
    });
}

/** Returns the code of a problem, after checking its form; the status of any other response. */
function summary({ head, status, body }: ParsedResponse): Expected {
  if (status === 100) return status;
  expect(head).toMatch(/\r\nX-Content-Type-Options: nosniff\r\n/);
  expect(head).toMatch(/\r\nDate: [^\r]* GMT\r\n/);
  if (status < 400) return status;
  expect(head).toMatch(/\r\nContent-Type: application\/problem\+json\r\n/);
  expect(head).toMatch(/\r\nCache-Control: no-store\r\n/);
  if (status === 405) expect(head).toMatch(/\r\nAllow: [A-Z, ]+\r\n/);
  if (body === '') return status;
  const problem = JSON.parse(body) as { status: number; code: string };
  expect(problem.status).toBe(status);
  return problem.code;
}

describeOwn('HTTP/1.1', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
  });
  afterAll(() => redis?.stop());

  describe.each<[string, Record<string, string>]>([
    ['over the fast path', {}],
    ['without the fast path', { HTTP_FAST_PATH: 'off' }],
  ])('%s', (_, settings) => {
    let proxy: TestProxy;
    beforeAll(async () => {
      proxy = await TestProxy.start({
        ...{ REDIS_URL: redis.url, PROXY_THREADS: 1, REDIS_COMMAND_TIMEOUT_MS: 20_000, ADMIN_TOKEN: 'admin' },
        ...settings,
      });
      await proxy.key('key');
    });
    afterAll(() => proxy?.stop());
    afterEach(() => {
      redis.server?.signal('SIGCONT');
    });

    const exchangeResponses = async (bytes: string): Promise<ParsedResponse[]> =>
      responsesIn(await exchange(proxy.url, Buffer.from(bytes, 'latin1')));

    describe.each(Object.entries(CASES))('%s', (_name, cases) => {
      it.each(cases)('%s', async (_case, bytes, ...expected) => {
        const responses = await exchangeResponses(`${bytes}${LAST}`);
        expect(responses.map(summary)).toEqual(expected);
        expect(responses.at(-1)?.head).toMatch(/\r\nConnection: close\r\n/);
        if (expected.at(-1) === 200) expect(responses.at(-1)?.body).not.toBe('');
      });
    });

    /** Returns the responses when all bytes arrive while the first request waits for Redis. */
    async function responsesBehindMiss(key: string, bytes: string): Promise<Expected[]> {
      await redis.client.set(key, 'value');
      redis.server?.signal('SIGSTOP');
      const responses = exchangeResponses(line(`GET /v1/keys/${key} HTTP/1.1`) + bytes);
      await until('a load in flight', async () =>
        (await proxy.get('/metrics')).text.includes('loads_in_flight 1\n') ? true : undefined,
      );
      redis.server?.signal('SIGCONT');
      return (await responses).map(summary);
    }

    it.each<[string, string, ...Expected[]]>([
      ['bytes that are no request', 'hello\r\n\r\n', 200, 'bad-request'],
      ['a body that is broken', chunked('xy\r\n'), 200, 'bad-request'],
      ['a second Host', `${withHost('a', 'b')}${LAST}`, 200, 'bad-request'],
      ['CONNECT', `CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n${LAST}`, 200, 'method-not-allowed'],
      ['an upgrade that is ignored', `${get('Connection: upgrade', 'Upgrade: a')}${LAST}`, 200, 200, 200],
      ['bytes after the last request', `${get('Connection: close')}hello\r\n\r\n`, 200, 200],
    ])('serves a request that waits for Redis before %s', async (name, bytes, ...expected) => {
      expect(await responsesBehindMiss(name.replaceAll(' ', '-'), bytes)).toEqual(expected);
    });

    it('sends earlier responses completely before a rejection, while the client continues to send', async () => {
      await redis.client.set('long', 'x'.repeat(LONG_BYTES));
      await until(
        'value cached',
        async () => (await proxy.key('long')).headers['cache-status']?.includes('; hit;') || undefined,
      );
      const { hostname, port } = new URL(proxy.url);
      const socket = connect(Number(port), hostname);
      socket
        .on('error', () => undefined)
        .setEncoding('latin1')
        .pause();
      // The one thread serves each only after the bytes that arrived before.
      for (const bytes of [line('GET /v1/keys/long HTTP/1.1'), withHost('a', 'b'), get(), get()]) {
        socket.write(bytes);
        for (let i = 0; i < 3; i++) await proxy.get('/health/live');
      }
      let received = '';
      socket.on('data', (text: string) => (received += text)).resume();
      await once(socket, 'close');
      const responses = responsesIn(received);
      expect(responses.map(summary)).toEqual([200, 'bad-request']);
      expect(responses[0].body.length).toBe(LONG_BYTES);
    });

    it('sends one response to a request with a malformed body', async () => {
      // The response is sent before the body is read.
      const bytes = chunked('10\r\n').replace('application/json', 'text/plain');
      let broken = false;
      const { hostname, port } = new URL(proxy.url);
      const received = await new Promise<string>((resolve) => {
        let text = '';
        const socket = connect(Number(port), hostname, () => socket.write(bytes));
        socket.setEncoding('latin1').on('data', (part: string) => {
          text += part;
          if (!broken) socket.write('more than sixteen bytes');
          broken = true;
        });
        socket.on('error', () => undefined).on('close', () => resolve(text));
      });
      expect(responsesIn(received).map(summary)).toEqual(['unsupported-media-type']);
    });

    it.each(['/health/live', '/v1/keys/key', '/v1/mget', '/nowhere'])(
      'ignores an upgrade, whatever follows it: %s',
      async (path) => {
        const upgrade = line(`GET ${path} HTTP/1.1`).replace('Host', 'Connection: upgrade\r\nUpgrade: a\r\nHost');
        const [withUpgrade, without] = [upgrade, line(`GET ${path} HTTP/1.1`)].map((request) =>
          exchangeResponses(request + LAST),
        );
        expect((await withUpgrade).map(summary)).toEqual((await without).map(summary));
      },
    );

    it('makes Node.js warn of no target that is not a path', async () => {
      const requests = [line('OPTIONS * HTTP/1.1'), line('GET http://other/health/live HTTP/1.1'), LAST];
      expect((await exchangeResponses(requests.join(''))).map(({ status }) => status)).toEqual([204, 200, 200]);
      expect(proxy.child?.errors).toBe('');
    });

    describe('responds 405 with Allow to other methods of a resource', () => {
      it.each([
        ['/', 'GET, HEAD'],
        ['/dashboard/app.js', 'GET, HEAD'],
        ['/dashboard/events', 'GET, HEAD'],
        ['/docs', 'GET, HEAD'],
        ['/docs/', 'GET, HEAD'],
        ['/docs/swagger-ui.css', 'GET, HEAD'],
        ['/docs/swagger-ui-init.js', 'GET, HEAD'],
        ['/openapi.json', 'GET, HEAD'],
        ['/health/live', 'GET, HEAD'],
        ['/health/ready', 'GET, HEAD'],
        ['/metrics', 'GET, HEAD'],
        ['/v1/keys/key', 'GET, HEAD'],
        ['/v1/keys/key?query', 'GET, HEAD'],
        ['/v1/mget', 'POST'],
        ['/v1/cache', 'GET, HEAD, DELETE'],
        ['/v1/cache/key', 'DELETE'],
      ])('%s', async (path, allow) => {
        const allowed = allow.split(', ');
        for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY']) {
          if (allowed.includes(method)) continue;
          const { status, headers, json } = await proxy.request(path, { method });
          expect([method, status, headers.allow, json.code]).toEqual([method, 405, allow, 'method-not-allowed']);
        }
      });

      it('allows the methods in the OpenAPI document', async () => {
        const { paths } = (await proxy.get('/openapi.json')).json as { paths: Record<string, object> };
        expect(Object.keys(paths).length).toBeGreaterThan(5);
        for (const [path, operations] of Object.entries(paths)) {
          const documented = new Set(Object.keys(operations).map((method) => method.toUpperCase()));
          if (documented.has('GET')) documented.add('HEAD');
          // It is also the path of the key of this name, which can be purged.
          if (path === '/v1/cache/hot-keys') documented.add('DELETE');
          const { status, headers } = await proxy.request(path.replace('{key}', 'key'), { method: 'PATCH' });
          expect([path, status, new Set(headers.allow?.split(', '))]).toEqual([path, 405, documented]);
        }
      });

      it.each(['/nowhere', '/v1', '/v1/nothing/key', '/docs/nothing.js', '/health'])(
        'responds 404 to all methods at an unknown path: %s',
        async (path) => {
          for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
            const { status, json } = await proxy.request(path, { method });
            expect([method, status, json.code]).toEqual([method, 404, 'route-not-found']);
          }
        },
      );
    });
  });
});
