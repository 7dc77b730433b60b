import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

const NOTHING = Buffer.alloc(0);
const FRAMING = new Set(['content-length', 'transfer-encoding', 'trailer']);
/** The start of a body in chunks: a size, and what may follow it. */
const CHUNK_SIZE = /^[0-9a-f]+[ \t]*[;\r]/i;

/**
 * Returns a request whose `Upgrade` is ignored as bytes without it, so that node:http can parse it again, with the bytes
 * that have arrived behind it. Calls `accept` with them, and with whether the connection must close after the response.
 *
 * Node.js 24 leaves a body to the listener of `upgrade`, as a part of `rest`. Node.js 26 parses it: a body that has arrived
 * whole is in the request, and one that has not comes with a `stream` of its own in place of the socket.
 *
 * @param maxBodyBytes of a body that has not arrived whole; if it has more, `accept` is called with `too-large`.
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
  // The socket's errors end the stream as well, and are handled there.
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
    // The socket is node:http's again, which would find the stream on it at another upgrade: this request is the last.
    request.socket.removeAllListeners('data');
    accept(Buffer.concat([headWithoutUpgrade(request, bytes), ...parts]), true);
  });
}

function isChunked({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined;
}

/** @param bodyBytes length of a body that was parsed, and is sent again without chunks; undefined: it was not parsed. */
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
