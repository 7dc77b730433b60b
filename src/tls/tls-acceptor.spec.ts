import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TLSSocket, connect } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import { TestAuthority } from '../../test/support/certificates.ts';
import { Secret } from '../config/secret.ts';
import { TlsAcceptor } from './tls-acceptor.ts';

const HOST = '127.0.0.1';
const TICKET_KEYS_BYTES = 48;

describe('TlsAcceptor', () => {
  it.each([0, 2 ** 22])('closes a connection that is renegotiated, with %i bytes to be sent', async (unsent) => {
    const authority = await TestAuthority.create();
    const { cert, key } = await authority.issue([HOST]);
    const files = { certFile: '', keyFile: '', clientCaFile: undefined };
    const acceptor = new TlsAcceptor({
      tls: { ...files, cert, key: new Secret(key), clientCa: undefined },
      ticketKeys: Buffer.alloc(TICKET_KEYS_BYTES),
      ...{ sessionContext: 'test', protocols: undefined, handshakeTimeoutMs: 60_000 },
      onFailure: () => undefined,
    });
    const server = createServer({ allowHalfOpen: true });
    server.listen(0, HOST);
    await once(server, 'listening');
    const closed = new Promise((resolve) => {
      server.on('connection', (raw) => {
        raw.once('close', resolve);
        acceptor.accept(raw, (secure: TLSSocket) => {
          // An owner that leaves everything to the time-out of the socket.
          secure.on('error', () => undefined).resume();
          secure.write(Buffer.alloc(unsent));
        });
      });
    });
    const { port } = server.address() as AddressInfo;
    const client = connect({ host: HOST, port, ca: authority.certificate.cert, maxVersion: 'TLSv1.2' });
    client.on('error', () => undefined);
    await once(client, 'secureConnect');
    client.renegotiate({}, () => undefined);
    client.resume();
    await closed;
    client.destroy();
    server.close();
    expect(await once(server, 'close')).toEqual([]);
  });
});
