import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { HttpAdapterHost } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { loadSettings } from '../../config/load-settings.ts';
import { Secret } from '../../config/secret.ts';
import { HttpModule } from '../http.module.ts';
import { createModuleApp } from '../module-app.spec-support.ts';
import { isOpsRoute, lookupRejection, lookupTarget } from './ops-listener.ts';
import type { ProxyHttpAdapter } from './proxy-http-adapter.ts';

describe('the ops listener', () => {
  let app: NestExpressApplication | undefined;
  let server: Server | undefined;
  afterEach(async () => {
    server?.closeAllConnections();
    server?.close();
    await app?.close();
  });

  /** Starts the ops listener of an application, to which all clients seem to have an address. */
  async function opsListener(environment: Readonly<Record<string, string>>, address: string): Promise<string> {
    app = await createModuleApp(HttpModule, { OPS_PORT: '0', ...environment });
    const { httpAdapter } = app.get<HttpAdapterHost<ProxyHttpAdapter>>(HttpAdapterHost);
    const ops = httpAdapter.ops?.server;
    if (ops === undefined) throw new Error('there is no ops listener');
    server = ops;
    ops.prependListener('connection', (socket: Socket) =>
      Object.defineProperty(socket, 'remoteAddress', { value: address }),
    );
    await once(ops.listen(0, '127.0.0.1'), 'listening');
    return `http://127.0.0.1:${(ops.address() as AddressInfo).port}`;
  }

  it.each(['127.0.0.1', '::1', '::ffff:127.0.0.1'])(
    'serves look-ups of clients at %s without an ACCESS_TOKEN',
    async (address) => {
      await request(await opsListener({}, address))
        .get('/lookup/v1/keys/some')
        .expect(200);
    },
  );

  it.each(['10.0.0.1', '127.0.0.6', '::ffff:127.0.0.6', '::ffff:10.127.0.1', 'fd00::1', '1270::1'])(
    'serves look-ups of clients at %s with an ACCESS_TOKEN only',
    async (address) => {
      const open = request(await opsListener({}, address));
      const { body } = (await open.get('/lookup/v1/keys/some').expect(404)) as { body: unknown };
      expect(body).toMatchObject({ code: 'lookup-disabled' });
      await app?.close();
      server?.close();
      const closed = request(await opsListener({ ACCESS_TOKEN: 'reader' }, address));
      await closed.get('/lookup/v1/keys/some').expect(401);
      await closed.get('/lookup/v1/keys/some').set('Authorization', 'Bearer reader').expect(200);
    },
  );

  it.each([
    ['Host', 'rebound.example.org'],
    ['Host', 'localhost.example.org:9090'],
    ['Host', '127.0.0.1.example.org'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-Proto', 'http'],
    ['Forwarded', 'for=127.0.0.1'],
    ['X-Real-IP', '10.0.0.1'],
    ['Via', '1.1 front'],
  ])('serves look-ups of clients on this machine with %s: %s with an ACCESS_TOKEN only', async (name, value) => {
    await request(await opsListener({}, '127.0.0.1'))
      .get('/lookup/v1/keys/some')
      .set(name, value)
      .expect(404);
    await app?.close();
    server?.close();
    await request(await opsListener({ ACCESS_TOKEN: 'reader' }, '127.0.0.1'))
      .get('/lookup/v1/keys/some')
      .set({ [name]: value, Authorization: 'Bearer reader' })
      .expect(200);
  });

  it.each(['localhost', 'LOCALHOST:9090', '127.0.0.1:9090', '192.168.0.1', '[::1]:9090'])(
    'serves look-ups of clients on this machine at %s without an ACCESS_TOKEN',
    async (host) => {
      await request(await opsListener({}, '127.0.0.1'))
        .get('/lookup/v1/keys/some')
        .set('Host', host)
        .expect(200);
    },
  );

  it('serves no look-ups of other machines where reads require a client certificate', () => {
    const settings = loadSettings({ ACCESS_TOKEN: 'reader' }, '/nowhere');
    const tls = { certFile: '', keyFile: '', clientCaFile: '', cert: '', key: new Secret(''), clientCa: 'PEM' };
    const withCertificates = { ...settings, http: { ...settings.http, tls } };
    const withoutCa = { ...settings, http: { ...settings.http, tls: { ...tls, clientCa: undefined } } };
    const from = (remoteAddress: string) => ({ headers: { host: 'localhost' }, socket: { remoteAddress } });
    expect(lookupRejection(withoutCa, from('10.0.0.1'))).toBeUndefined();
    expect(lookupRejection(withCertificates, from('127.0.0.1'))).toBeUndefined();
    const rejection = lookupRejection(withCertificates, from('10.0.0.1'));
    expect([rejection?.status, String(rejection?.body)]).toEqual([404, expect.stringContaining('client certificate')]);
  });

  it('has the routes of operators, and reads below /lookup only', () => {
    const paths = [
      '/',
      '/health/live',
      '/metrics',
      '/v1/cache',
      '/v1/cache/:key',
      '/docs',
      '/docs/x.js',
      '/openapi.json',
    ];
    for (const path of [...paths, '/dashboard/*path']) expect([path, isOpsRoute('get', path)]).toEqual([path, true]);
    for (const path of [
      '/v1/keys/:key',
      '/v1/caches',
      '/healthy',
      '/metrics2',
      '/get/:key',
      '/v1/mget',
      '/openapi.jsonx',
    ]) {
      expect([path, isOpsRoute('get', path)]).toEqual([path, false]);
    }
    expect(isOpsRoute('post', '/')).toBe(false);
    expect(['/lookup/v1/keys/a?b', '/lookup/', '/lookup', '/lookups/a', '/v1/lookup/a'].map(lookupTarget)).toEqual([
      '/v1/keys/a?b',
      '/',
      undefined,
      undefined,
      undefined,
    ]);
  });
});
