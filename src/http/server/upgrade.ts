import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

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
 *
 * @param maxBodyBytes limit for an incomplete body; beyond it, `accept` is called with `too-large`.
 */
export function withoutUpgrade(
  request: IncomingMessage,
  stream: Duplex,
  rest: Buffer,
  maxBodyBytes: number,
  accept: (bytes: Buffer | 'too-large', isLast: boolean) => void,
): void {
  if (stream === request.socket) {
    const body = request.readableLength > 0 ? (request.read() as Buffer) : NOTHING;
    const isParsed = body.length > 0 || (isChunked(request) && !CHUNK_SIZE.test(rest.toString('latin1', 0, 64)));
    accept(Buffer.concat([headWithoutUpgrade(request, isParsed ? body.length : undefined), body, rest]), false);
    return;
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  // Errors of the socket, which are handled there, also destroy the stream.
  stream.on('error', () => undefined);
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    if (bytes <= maxBodyBytes) parts.push(part);
    else {
      request.removeAllListeners('data').pause();
      accept('too-large', true);
    }
  });
  request.once('end', () => {
    // node:http must not parse another upgrade on this socket, on which it would find the stream: close after this request.
    request.socket.removeAllListeners('data');
    accept(Buffer.concat([headWithoutUpgrade(request, bytes), ...parts]), true);
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
