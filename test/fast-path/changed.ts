import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

type Change = (text: string) => string;
const same: Change = (text) => text;

/** Relays that alter the responses of a server, as a faulty fast path would. */
export const CHANGED: Readonly<Record<string, { readonly asked: Change; readonly answered: Change }>> = {
  'that forgives spaces before a colon': {
    asked: (text) => text.replace(/(\n[\w-]+)[ \t]+:/g, '$1:'),
    answered: same,
  },
  'that takes a lone line feed for the end of a line': {
    asked: (text) => text.replace(/(?<!\r)\n/g, '\r\n'),
    answered: same,
  },
  'that reads no If-None-Match': { asked: (text) => text.replace(/If-None-Match/gi, 'X-None-Match'), answered: same },
  'that reads no Cache-Control': {
    asked: (text) => text.replace(/Cache-Control/gi, 'X-Cache-Control'),
    answered: same,
  },
  'that reads no Pragma': { asked: (text) => text.replace(/Pragma/gi, 'X-Pragma'), answered: same },
  'that writes a header in another way': {
    asked: same,
    answered: (text) => text.replaceAll('Content-Length', 'content-length'),
  },
};

/** A relay that changes nothing. */
export const UNCHANGED = { asked: same, answered: same };

/** Starts a relay in front of a server that alters the bytes passing through. */
export async function startRelay(
  to: string,
  { asked, answered }: { readonly asked: Change; readonly answered: Change },
): Promise<{ readonly url: string; stop(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: Number(new URL(to).port), host: '127.0.0.1', allowHalfOpen: true });
    for (const [from, into, change] of [
      [near, far, asked],
      [far, near, answered],
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
