import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

type Change = (text: string) => string;
const same: Change = (text) => text;

/** Relays that alter the responses of a server, as a faulty fast path would. */
export const CHANGED: Readonly<Record<string, { readonly request: Change; readonly response: Change }>> = {
  'that forgives spaces before a colon': {
    request: (text) => text.replace(/(\n[\w-]+)[ \t]+:/g, '$1:'),
    response: same,
  },
  'that takes a lone line feed for the end of a line': {
    request: (text) => text.replace(/(?<!\r)\n/g, '\r\n'),
    response: same,
  },
  'that reads no If-None-Match': { request: (text) => text.replace(/If-None-Match/gi, 'X-None-Match'), response: same },
  'that reads no Cache-Control': {
    request: (text) => text.replace(/Cache-Control/gi, 'X-Cache-Control'),
    response: same,
  },
  'that reads no Pragma': { request: (text) => text.replace(/Pragma/gi, 'X-Pragma'), response: same },
  'that writes a header in another way': {
    request: same,
    response: (text) => text.replaceAll('Content-Length', 'content-length'),
  },
};

/** A relay that changes nothing. */
export const UNCHANGED = { request: same, response: same };

/** Starts a relay in front of a server that alters the bytes passing through. */
export async function startRelay(
  to: string,
  { request, response }: { readonly request: Change; readonly response: Change },
): Promise<{ readonly url: string; stop(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect({ port: Number(new URL(to).port), host: '127.0.0.1', allowHalfOpen: true });
    for (const [from, into, change] of [
      [client, server, request],
      [server, client, response],
    ] as const) {
      sockets.add(from.setNoDelay(true).setEncoding('latin1'));
      from.on('data', (text: string) => into.write(change(text), 'latin1'));
      from.on('end', () => into.end());
      from.on('error', () => into.destroy()).on('close', () => sockets.delete(from));
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop };
}
