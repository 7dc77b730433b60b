import { Buffer } from 'node:buffer';
import type { IncomingMessage } from 'node:http';

/**
 * The body of a request. `too-large`: there are more bytes, and the rest is dropped as it comes. `aborted`: the client
 * has gone, or was too slow.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer | 'too-large' | 'aborted'> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const take = (part: Buffer): void => {
      bytes += part.length;
      if (bytes <= maxBytes) return void parts.push(part);
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
