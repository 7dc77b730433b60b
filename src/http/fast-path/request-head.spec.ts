import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isHost } from '../server/request-rules.ts';
import { UNCONDITIONAL } from '../response/conditional.ts';
import { RequestHead } from './request-head.ts';

const MAX_BYTES = 8 * 1024;

interface Parsed {
  readonly method: string;
  readonly key: string;
  readonly encoded: boolean;
  readonly ifNoneMatch: string | undefined;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/** Parses the request that starts at `from`; undefined if it is not for the fast path. */
function parse(text: string, from = 0): Parsed | undefined {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead(MAX_BYTES);
  if (!head.scan(bytes, from)) return undefined;
  const field = (start: number, end: number) => (start === 0 ? undefined : bytes.toString('latin1', start, end));
  expect(head.end).toBe(from + bytes.subarray(from).indexOf('\r\n\r\n') + 4);
  return {
    method: head.headOnly ? 'HEAD' : 'GET',
    key: bytes.toString('latin1', head.keyFrom, head.keyTo),
    encoded: head.encoded,
    ifNoneMatch: field(head.ifNoneMatchFrom, head.ifNoneMatchTo),
    authorization: field(head.authorizationFrom, head.authorizationTo),
    range: field(head.rangeFrom, head.rangeTo),
    ifRange: field(head.ifRangeFrom, head.ifRangeTo),
  };
}

const plain = 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n';
const withHeader = (header: string): string => `GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`;

describe('RequestHead', () => {
  it('parses a plain request at any position in a chunk', () => {
    expect(parse(plain)).toEqual({ method: 'GET', key: 'key', encoded: false });
    expect(parse(`before${plain}after`, 6)).toEqual({ method: 'GET', key: 'key', encoded: false });
    expect(parse('HEAD /v1/keys/a%20b/c HTTP/1.1\r\nHOST: [::1]:80\r\n\r\n')).toEqual({
      method: 'HEAD',
      key: 'a%20b/c',
      encoded: true,
    });
  });

  it('parses the headers that clients send', () => {
    const headers = [
      ...['Host: localhost:8080', 'User-Agent: curl/8.5.0', 'Accept: */*', 'connection: Keep-Alive'],
      ...['Authorization:Bearer t', 'IF-NONE-MATCH: \t"a", W/"b" \t', 'Sec-Fetch-Mode: cors', 'X-Empty:'],
      ...['range: bytes=0-1', 'IF-RANGE:"a"', 'X-Rng: a', 'X-Range2: b'],
    ];
    expect(parse(`GET /v1/keys/key HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`)).toMatchObject({
      ifNoneMatch: '"a", W/"b"',
      authorization: 'Bearer t',
      range: 'bytes=0-1',
      ifRange: '"a"',
    });
  });

  it('returns the conditions of a request, and no range of HEAD', () => {
    const conditionsOf = (text: string) => {
      const head = new RequestHead(MAX_BYTES);
      const bytes = Buffer.from(text, 'latin1');
      expect(head.scan(bytes, 0)).toBe(true);
      return [head.isConditional, head.conditions(bytes)];
    };
    const request = withHeader('If-None-Match: "a"\r\nRange: bytes=0-1\r\nIf-Range: "b"');
    expect(conditionsOf(request)).toEqual([true, { ifNoneMatch: '"a"', range: 'bytes=0-1', ifRange: '"b"' }]);
    expect(conditionsOf(request.replace('GET', 'HEAD'))).toEqual([true, { ifNoneMatch: '"a"', ifRange: '"b"' }]);
    expect(conditionsOf(withHeader('Range: bytes=0-1'))).toEqual([true, { range: 'bytes=0-1' }]);
    expect(conditionsOf(withHeader('If-Range: "b"'))).toEqual([false, UNCONDITIONAL]);
    const head = new RequestHead(MAX_BYTES);
    for (const text of [request, plain]) expect(head.scan(Buffer.from(text), 0)).toBe(true);
    expect(head.conditions(Buffer.from(plain))).toBe(UNCONDITIONAL);
  });

  it.each([
    ['another method', plain.replace('GET', 'POST')],
    ['a lower-case method', plain.replace('GET', 'get')],
    ['another path', plain.replace('/keys/', '/key/')],
    ['no key', plain.replace('/key ', '/ ')],
    ['a query', plain.replace('key ', 'key? ')],
    ['a fragment', plain.replace('key ', 'key#a ')],
    ['an absolute target', plain.replace('/v1', 'http://x/v1')],
    ['8-bit bytes in the key', plain.replace('key ', 'k\xe9y ')],
    ['a NUL in the key', plain.replace('key ', 'k\0y ')],
    ['a tab before the version', plain.replace(' HTTP', '\tHTTP')],
    ['two spaces', plain.replace(' HTTP', '  HTTP')],
    ['HTTP/1.0', plain.replace('1.1', '1.0')],
    ['an empty line before it', `\r\n${plain}`],
    ['a bare LF after the request line', plain.replace('1.1\r\n', '1.1\n')],
    ['a bare LF after a header', plain.replace('x\r\n', 'x\n')],
    ['a bare LF at the end', plain.replace('\r\n\r\n', '\r\n\n')],
    ['a bare CR in a value', plain.replace(': x', ': x\ry')],
    ['no Host', plain.replace('Host', 'Hose')],
    ['an empty Host', plain.replace(': x', ': ')],
    ['a Host with a space', plain.replace(': x', ': a b')],
    ['a Host with a non-numeric port', plain.replace(': x', ': a:b')],
    ['a Host with two ports', plain.replace(': x', ': a:1:2')],
    ['a Host without a name', plain.replace(': x', ': :80')],
    ['a Host with an invalid IPv6 address', plain.replace(': x', ': [1::2::3]')],
    ['a Host with an unterminated IPv6 address', plain.replace(': x', ': [::1')],
    ['two Hosts', withHeader('host: x')],
    ['a folded header', withHeader('X-A: b\r\n c')],
    ['a space before the colon', withHeader('X-A : b')],
    ['a space before the name', withHeader(' X-A: b')],
    ['an empty header name', withHeader(': b')],
    ['no colon', withHeader('X-A')],
    ['an invalid header name', withHeader('X(A): b')],
    ['8-bit bytes in a value', withHeader('X-A: \xe9')],
    ['a NUL in a value', withHeader('X-A: \0')],
    ['a body', withHeader('Content-Length: 0')],
    ['a chunked body', withHeader('transfer-encoding: chunked')],
    ['an expectation', withHeader('Expect: 100-continue')],
    ['an upgrade', withHeader('Upgrade: h2c')],
    ['Connection: close', withHeader('Connection: close')],
    ['further connection options', withHeader('Connection: keep-alive, x')],
    ['several If-None-Match', withHeader('If-None-Match: "a"\r\nIf-None-Match: "b"')],
    ['several Cache-Control', withHeader('Cache-Control: a\r\nCache-Control: b')],
    ['several Range', withHeader('Range: bytes=0-1\r\nrange: bytes=0-1')],
    ['several If-Range', withHeader('If-Range: "a"\r\nIf-Range: "a"')],
    ['several Pragma', withHeader('Pragma: a\r\nPragma: b')],
    ['many headers', withHeader(Array.from({ length: 100 }, (_, i) => `X-${i}: a`).join('\r\n'))],
    ['a very long head', withHeader(`X-A: ${'a'.repeat(MAX_BYTES)}`)],
  ])('leaves a request to node:http that has %s', (_, text) => {
    expect(parse(text)).toBeUndefined();
  });

  it('leaves an incomplete request to node:http', () => {
    const request = withHeader('If-None-Match: "a"\r\nX-A: b');
    for (let end = 0; end < request.length; end++) expect(parse(request.slice(0, end))).toBeUndefined();
    expect(parse(request)).toBeDefined();
  });

  it('never accepts a head that two parsers could read differently', () => {
    const pieces = fc.constantFrom(
      ...['GET ', 'HEAD ', '/v1/keys/', 'key', '%41', '?', '#', ' HTTP/1.1', '\r\n', '\r', '\n', 'Host: x', ': ', ':'],
      ...[' ', '\t', '\0', '\x7f', '\xff', 'Content-Length: 3', 'Transfer-Encoding: chunked', 'X-A: b', 'Connection: '],
      ...['keep-alive', 'close', 'If-None-Match: *', '\r\n\r\n', plain.slice(0, -2)],
    );
    const starts = fc.constantFrom('', 'GET /v1/keys/key HTTP/1.1\r\n', 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n');
    let accepted = 0;
    fc.assert(
      fc.property(starts, fc.array(pieces, { maxLength: 8 }), fc.constantFrom('', '\r\n\r\n'), (start, parts, end) => {
        const text = start + parts.join('') + end;
        if (parse(text) === undefined) return;
        accepted++;
        const [line, ...headers] = text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
        expect(line).toMatch(/^(GET|HEAD) \/v1\/keys\/[\w\-.~!$&'()*+,;=:@/%]+ HTTP\/1\.1$/);
        for (const header of headers) expect(header).toMatch(/^[\w!#$%&'*+\-.^`|~]+:[\t -~]*$/);
        const names = headers.map((header) => header.slice(0, header.indexOf(':')).toLowerCase());
        expect(names.filter((name) => name === 'host')).toHaveLength(1);
        expect(names).not.toEqual(
          expect.arrayContaining([expect.stringMatching(/^(content-length|transfer-encoding)$/)]),
        );
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});

describe('RequestHead: Host', () => {
  const withHost = (host: string): string => plain.replace(': x', `: ${host}`);
  const part = fc.constantFrom(...'ab1:[].%_-,@/ ', '::1', '[::1]', '[1::2]', ':80', '%41');

  it('is valid in every request that is accepted', () => {
    const head = new RequestHead(MAX_BYTES);
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const host = parts.join('').trim();
        const read = head.scan(Buffer.from(withHost(host), 'latin1'), 0);
        expect(read && !isHost(host)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['a', 'a.b:80', 'a:', '127.0.0.1:1', '[::1]', '[::1]:80', '[2001:db8::1]:'])('accepts %s', (host) => {
    expect([isHost(host), parse(withHost(host)) !== undefined]).toEqual([true, true]);
  });
});
