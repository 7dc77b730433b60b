import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { readBody } from '../request/read-body.ts';

const NOTHING = Buffer.alloc(0);
const FRAMING = new Set(['content-length', 'transfer-encoding', 'trailer']);
/** The start of a chunked body: a size, and an extension or the end of the line. */
const CHUNK_SIZE = /^[0-9a-f]+[ \t]*[;\r]/i;

/**
 * Serialises a request without its `Upgrade` header, which is ignored, so that node:http can parse it again together with
 * the bytes received after it. Calls `accept` with the bytes, and whether the connection must close after the response.
 *
 * Node.js 24 passes a body to the listener of `upgrade` unparsed, at the start of `rest`. Node.js 26 parses it: a complete
 * body is in the request, and an incomplete one arrives on the request while `stream` replaces the socket.
 * `too-large`: an incomplete body exceeds the limit of {@link readBody}.
 */
export function withoutUpgrade(
  request: IncomingMessage,
  stream: Duplex,
  rest: Buffer,
  accept: (bytes: Buffer | 'too-large', isLast: boolean) => void,
): void {
  if (stream === request.socket) {
    const body = request.readableLength > 0 ? (request.read() as Buffer) : NOTHING;
    const isParsed = body.length > 0 || (isChunked(request) && !CHUNK_SIZE.test(rest.toString('latin1', 0, 64)));
    accept(Buffer.concat([headWithoutUpgrade(request, isParsed ? body.length : undefined), body, rest]), false);
    return;
  }
  // The socket's errors end the stream as well, and are handled there.
  stream.on('error', () => undefined);
  void readBody(request).then((body) => {
    if (body === 'aborted') return;
    if (body === 'too-large') return accept(body, true);
    // The socket is node:http's again, which would find the stream on it at another upgrade: this request is the last.
    request.socket.removeAllListeners('data');
    accept(Buffer.concat([headWithoutUpgrade(request, body.length), body]), true);
  });
}

function isChunked({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined;
}

/** @param bodyBytes length of a parsed body, which is serialised without chunks; undefined if the body was not parsed. */
function headWithoutUpgrade(request: IncomingMessage, bodyBytes: number | undefined): Buffer {
  const { method, url, httpVersion, rawHeaders } = request;
  let head = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i].toLowerCase();
    if (name === 'upgrade' || (bodyBytes !== undefined && FRAMING.has(name))) continue;
    head += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  if (bodyBytes !== undefined) head += `Content-Length: ${bodyBytes}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1');
}
