import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isHost } from '../server/host.ts';
import { RequestHead } from './request-head.ts';

const LONGEST = 8 * 1024;

interface Seen {
  readonly method: string;
  readonly key: string;
  readonly encoded: boolean;
  readonly ifNoneMatch: string | undefined;
  readonly authorization: string | undefined;
}

/** What the fast path makes of the request that starts at `from`; undefined when it is none for it. */
function seen(text: string, from = 0): Seen | undefined {
  const bytes = Buffer.from(text, 'latin1');
  const head = new RequestHead(LONGEST);
  if (!head.scan(bytes, from)) return undefined;
  const field = (start: number, end: number) => (start === 0 ? undefined : bytes.toString('latin1', start, end));
  expect(head.end).toBe(from + bytes.subarray(from).indexOf('\r\n\r\n') + 4);
  return {
    method: head.headOnly ? 'HEAD' : 'GET',
    key: bytes.toString('latin1', head.keyFrom, head.keyTo),
    encoded: head.encoded,
    ifNoneMatch: field(head.ifNoneMatchFrom, head.ifNoneMatchTo),
    authorization: field(head.authorizationFrom, head.authorizationTo),
  };
}

const plain = 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n';
const withHeader = (header: string): string => `GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`;

describe('the head of a plain request', () => {
  it('is read, whatever stands before and after it', () => {
    expect(seen(plain)).toEqual({ method: 'GET', key: 'key', encoded: false });
    expect(seen(`before${plain}after`, 6)).toEqual({ method: 'GET', key: 'key', encoded: false });
    expect(seen('HEAD /v1/keys/a%20b/c HTTP/1.1\r\nHOST: [::1]:80\r\n\r\n')).toEqual({
      method: 'HEAD',
      key: 'a%20b/c',
      encoded: true,
    });
  });

  it('is read with the headers that clients send', () => {
    const headers = [
      ...['Host: localhost:8080', 'User-Agent: curl/8.5.0', 'Accept: */*', 'connection: Keep-Alive'],
      ...['Authorization:Bearer t', 'IF-NONE-MATCH: \t"a", W/"b" \t', 'Sec-Fetch-Mode: cors', 'X-Empty:'],
    ];
    expect(seen(`GET /v1/keys/key HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`)).toMatchObject({
      ifNoneMatch: '"a", W/"b"',
      authorization: 'Bearer t',
    });
  });

  it.each([
    ['another method', plain.replace('GET', 'POST')],
    ['a method in small letters', plain.replace('GET', 'get')],
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
    ['a Host with a port of letters', plain.replace(': x', ': a:b')],
    ['a Host with two ports', plain.replace(': x', ': a:1:2')],
    ['a Host without a name', plain.replace(': x', ': :80')],
    ['a Host with a bad address', plain.replace(': x', ': [1::2::3]')],
    ['a Host with an address that does not end', plain.replace(': x', ': [::1')],
    ['two Hosts', withHeader('host: x')],
    ['a folded header', withHeader('X-A: b\r\n c')],
    ['a space before the colon', withHeader('X-A : b')],
    ['a space before the name', withHeader(' X-A: b')],
    ['no name', withHeader(': b')],
    ['no colon', withHeader('X-A')],
    ['a name that is none', withHeader('X(A): b')],
    ['8-bit bytes in a value', withHeader('X-A: \xe9')],
    ['a NUL in a value', withHeader('X-A: \0')],
    ['a body', withHeader('Content-Length: 0')],
    ['a body in chunks', withHeader('transfer-encoding: chunked')],
    ['an expectation', withHeader('Expect: 100-continue')],
    ['another protocol', withHeader('Upgrade: h2c')],
    ['the end of the connection', withHeader('Connection: close')],
    ['more about the connection', withHeader('Connection: keep-alive, x')],
    ['several If-None-Match', withHeader('If-None-Match: "a"\r\nIf-None-Match: "b"')],
    ['several Cache-Control', withHeader('Cache-Control: a\r\nCache-Control: b')],
    ['several Pragma', withHeader('Pragma: a\r\nPragma: b')],
    ['many headers', withHeader(Array.from({ length: 100 }, (_, i) => `X-${i}: a`).join('\r\n'))],
    ['a very long head', withHeader(`X-A: ${'a'.repeat(LONGEST)}`)],
  ])('is not one with %s', (_, text) => {
    expect(seen(text)).toBeUndefined();
  });

  it('is not one that has not arrived whole', () => {
    const request = withHeader('If-None-Match: "a"\r\nX-A: b');
    for (let end = 0; end < request.length; end++) expect(seen(request.slice(0, end))).toBeUndefined();
    expect(seen(request)).toBeDefined();
  });

  it('never contains what could be read in two ways, whatever the bytes', () => {
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
        if (seen(text) === undefined) return;
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

describe('the Host of a plain request', () => {
  const withHost = (host: string): string => plain.replace(': x', `: ${host}`);
  const part = fc.constantFrom(...'ab1:[].%_-,@/ ', '::1', '[::1]', '[1::2]', ':80', '%41');

  it('is valid whenever the request is read', () => {
    const head = new RequestHead(LONGEST);
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        const host = parts.join('').trim();
        const read = head.scan(Buffer.from(withHost(host), 'latin1'), 0);
        expect(read && !isHost(host)).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(['a', 'a.b:80', 'a:', '127.0.0.1:1', '[::1]', '[::1]:80', '[2001:db8::1]:'])('may be %s', (host) => {
    expect([isHost(host), seen(withHost(host)) !== undefined]).toEqual([true, true]);
  });
});
