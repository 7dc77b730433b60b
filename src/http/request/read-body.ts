import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

/** Longest request body, in bytes. JSON escapes some bytes of a key as six, and adds quotes and commas. */
export const MAX_BODY_BYTES = 512 * 1024;

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
