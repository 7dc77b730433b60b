import { describe, expect, it } from '@jest/globals';
import { parserProblem } from './parser-problem.ts';

const METHOD = 'HPE_INVALID_METHOD';
const VERSION = 'HPE_INVALID_VERSION';

/** Returns the problem code for an error at the position of `|`. */
function codeAt(text: string, code: string): string {
  const bytesParsed = text.indexOf('|');
  return parserProblem({ code, rawPacket: Buffer.from(text.replace('|', ''), 'latin1'), bytesParsed }).code;
}

describe('parserProblem', () => {
  it.each([
    ['an unknown method', METHOD, '|FOO /a HTTP/1.1\r\nHost: a\r\n\r\n', 'not-implemented'],
    ['an unknown method, found late', METHOD, 'GET|S /a HTTP/1.0\r\n\r\n', 'not-implemented'],
    [
      'an unknown method behind another request',
      METHOD,
      'GET / HTTP/1.1\r\n\r\n|foo /a HTTP/1.1\r\n',
      'not-implemented',
    ],
    ['a request line that ends with a bare LF', METHOD, '|FOO /a HTTP/1.1\n', 'not-implemented'],
    ['an incomplete request line', METHOD, '|FOO /a HTTP/1.1', 'bad-request'],
    ['a request line without a target', METHOD, '|FOO HTTP/1.1\r\n', 'bad-request'],
    ['an invalid method', METHOD, '|(FOO) /a HTTP/1.1\r\n', 'bad-request'],
    ['another version', VERSION, 'GET /a HTTP/3.1|\r\n', 'http-version-not-supported'],
    ['a version of two digits', VERSION, 'GET /a HTTP/1.1|0\r\n', 'bad-request'],
    ['an unknown method of another version', METHOD, '|FOO /a HTTP/2.0\r\n', 'http-version-not-supported'],
    ['a body that looks like a request line', 'HPE_INVALID_CHUNK_SIZE', '|FOO /a HTTP/2.0\r\n', 'bad-request'],
  ])('classifies %s', (_, code, text, expected) => {
    expect(codeAt(text, code)).toBe(expected);
  });

  it('depends on the error code alone if the bytes are unknown', () => {
    expect(parserProblem({ code: METHOD }).code).toBe('bad-request');
    expect(parserProblem({}).code).toBe('bad-request');
    expect(parserProblem({ code: 'ERR_HTTP_REQUEST_TIMEOUT' }).code).toBe('request-timeout');
  });
});
