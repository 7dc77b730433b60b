import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

/** Bytes of the longest body of a request: JSON writes some bytes of a key as six, and puts something around each key. */
export const MAX_BODY_BYTES = 512 * 1024;

/**
 * The body of a request. `too-large`: it has more than {@link MAX_BODY_BYTES}, and the rest is dropped as it comes.
 * `aborted`: the client has gone, or was too slow.
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
  // Said at once to a client that announces it.
  if (Number(request.headers['content-length']) > MAX_BODY_BYTES) return Promise.resolve('too-large');
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const take = (part: Buffer): void => {
      bytes += part.length;
      if (bytes <= MAX_BODY_BYTES) return void parts.push(part);
      request.off('data', take).resume();
      resolve('too-large');
    };
    request
      .on('data', take)
      .once('end', () => resolve(Buffer.concat(parts)))
      .once('close', () => resolve('aborted'))
      .once('error', () => resolve('aborted'));
  });
}
