import { once } from 'node:events';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { type TLSSocket, connect } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestAuthority } from '../../test/support/certificates.ts';
import type { ListenerTls } from '../config/settings.ts';
import { Secret } from '../config/secret.ts';
import { probeDirectWrite, unwrittenBytes } from '../net/node-internals/direct-write.ts';
import { TlsAcceptor } from './tls-acceptor.ts';

const HOST = '127.0.0.1';
const TICKET_KEYS_BYTES = 48;
/** More than the kernel buffers for a client that does not read, and than TLS itself may have to send. */
const UNREAD_BYTES = 2 ** 25;

describe('TlsAcceptor', () => {
  let authority: TestAuthority;
  let tls: ListenerTls;
  let acceptor: TlsAcceptor;
  let server: Server;

  beforeAll(async () => {
    authority = await TestAuthority.create();
    const { cert, key } = await authority.issue([HOST]);
    const files = { certFile: '', keyFile: '', clientCaFile: undefined };
    tls = { ...files, cert, key: new Secret(key), clientCa: undefined };
  });
  beforeEach(() => {
    acceptor = new TlsAcceptor({
      ...{ tls, ticketKeys: Buffer.alloc(TICKET_KEYS_BYTES), sessionContext: 'test' },
      ...{ protocols: undefined, handshakeTimeoutMs: 60_000, onFailure: () => undefined },
    });
    server = createServer({ allowHalfOpen: true });
  });
  afterEach(async () => {
    server.close();
    expect(await once(server, 'close')).toEqual([]);
  });

  /** Connects a client that does not read; returns both sides. */
  async function open(maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<{ secure: TLSSocket; client: TLSSocket }> {
    const accepted = new Promise<TLSSocket>((resolve) => {
      server.on('connection', (raw) => acceptor.accept(raw, resolve));
    });
    server.listen(0, HOST);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = connect({ host: HOST, port, ca: authority.certificate.cert, maxVersion });
    client.on('error', () => undefined).pause();
    await once(client, 'secureConnect');
    return { secure: (await accepted).on('error', () => undefined).resume(), client };
  }

  it.each([0, 2 ** 22])('closes a connection that is renegotiated, with %i bytes to be sent', async (unsent) => {
    const { secure, client } = await open('TLSv1.2');
    const closed = new Promise((resolve) => secure.once('close', resolve));
    // An owner that leaves everything to the time-out of the socket.
    secure.write(Buffer.alloc(unsent));
    client.renegotiate({}, () => undefined);
    client.resume();
    await closed;
    client.destroy();
  });

  it('closes a connection whose client does not read what TLS itself sends', async () => {
    await probeDirectWrite(tls);
    const { secure, client } = await open('TLSv1.3');
    secure.write(Buffer.alloc(UNREAD_BYTES));
    expect(unwrittenBytes(secure)).toBeGreaterThan(UNREAD_BYTES / 2);
    acceptor.destroyFlooding();
    expect(secure.destroyed).toBe(false);
    // As if TLS itself had written it.
    Object.defineProperty(secure, 'writableLength', { value: 0 });
    acceptor.destroyFlooding();
    expect(secure.destroyed).toBe(true);
    client.destroy();
  });
});
