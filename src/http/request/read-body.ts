import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { HttpResponse } from '../response/http-response.ts';
import { problem } from '../response/problem.ts';

/** Longest request body, in bytes. JSON escapes some bytes of a key as six, and adds quotes and commas. */
export const MAX_BODY_BYTES = 512 * 1024;
export const BODY_TOO_LARGE = problem('body-too-large', `The body exceeds ${MAX_BODY_BYTES} bytes.`);

/**
 * The body of a request. `too-large`: it exceeds {@link MAX_BODY_BYTES}, and the rest is discarded. `aborted`: the client
 * has disconnected, or was too slow.
 */
export type Body = Buffer | 'too-large' | 'aborted';

const bodies = new WeakMap<IncomingMessage, Promise<Body>>();

/** Reads the body of a request, once: every call for the same request returns the same promise. */
export function readBody(request: IncomingMessage): Promise<Body> {
  let body = bodies.get(request);
  if (body === undefined) {
    body = receive(request);
    bodies.set(request, body);
  }
  return body;
}

/**
 * Reads the body of a request that must not have a Content-Encoding.
 *
 * @returns the body, the response to reject it with, or undefined if the client has disconnected.
 */
export async function readPlainBody(
  request: IncomingMessage,
  { encoded, tooLarge }: { readonly encoded: HttpResponse; readonly tooLarge: HttpResponse },
): Promise<Buffer | HttpResponse | undefined> {
  const { 'content-encoding': encoding = 'identity' } = request.headers;
  if (encoding.toLowerCase() !== 'identity') return encoded;
  const body = await readBody(request);
  if (body === 'too-large') return tooLarge;
  return body === 'aborted' ? undefined : body;
}

function receive(request: IncomingMessage): Promise<Body> {
  // Known before any byte of the body has arrived.
  if (Number(request.headers['content-length']) > MAX_BODY_BYTES) return Promise.resolve('too-large');
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const onData = (part: Buffer): void => {
      bytes += part.length;
      if (bytes <= MAX_BODY_BYTES) return void parts.push(part);
      request.off('data', onData).resume();
      resolve('too-large');
    };
    request
      .on('data', onData)
      .once('end', () => resolve(Buffer.concat(parts)))
      .once('close', () => resolve('aborted'))
      .once('error', () => resolve('aborted'));
  });
}
