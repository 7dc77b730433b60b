import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TLSSocket, connect } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Certificate } from '../support/certificates.ts';
import { ListenerCertificates } from '../support/listener-certificates.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { respPort } from '../support/resp.ts';

const HOST = '127.0.0.1';
const CLIENTS = 4;

describeOwn('certificates are replaced while the proxy runs', () => {
  let certificates: ListenerCertificates;
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    [certificates, redis] = await Promise.all([ListenerCertificates.create(), TestRedis.start()]);
    await redis.client.set('key', 'value');
    const settings = {
      ...{ REDIS_URL: redis.url, PROXY_THREADS: 2, ...certificates.settings },
      // A connection is silent until all threads have the next certificate.
      ...{ HTTP_HEADERS_TIMEOUT_MS: 600_000, HTTP_REQUEST_TIMEOUT_MS: 600_000 },
    };
    proxy = await TestProxy.start(settings, '/', true, [], certificates.client);
  });
  afterAll(async () => {
    const code = await proxy.stop();
    await redis.stop();
    certificates.remove();
    expect(code).toBe(0);
  });

  async function open(port: number, session?: Buffer): Promise<TLSSocket> {
    const socket = connect({ host: HOST, port, ...certificates.client, session, maxVersion: 'TLSv1.2' });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  }

  const httpPort = (): number => Number(new URL(proxy.url).port);

  /** Waits until all threads, behind consecutive connections to both ports, present a certificate. */
  async function untilPresented({ cert }: Certificate): Promise<void> {
    const expected = new X509Certificate(cert).fingerprint256;
    await until('all threads present the certificate', async () => {
      for (const port of [httpPort(), respPort(proxy)]) {
        for (let i = 0; i < 12; i++) {
          const socket = await open(port);
          const { fingerprint256 } = socket.getPeerCertificate();
          socket.destroy();
          if (fingerprint256 !== expected) return undefined;
        }
      }
      return true;
    });
  }

  const logged = (text: string): Promise<true> =>
    until(text, () => proxy.log().some(({ message }) => String(message).includes(text)) || undefined);

  it('in all threads, without a failed request, and sessions of before are not resumed', async () => {
    const before = await open(httpPort());
    const session = before.getSession();
    let requests = 0;
    let running = true;
    const load = Array.from({ length: CLIENTS }, async () => {
      for (; running; requests++) expect((await proxy.key('key')).text).toBe('value');
    });
    const next = await certificates.issue();
    certificates.mount(next);
    await untilPresented(next);
    const soFar = requests;
    await until('more requests are served', () => requests > soFar + 10 || undefined);
    running = false;
    await Promise.all(load);
    await logged(
      `HTTP_TLS_CERT_FILE reloaded: valid until ${new X509Certificate(next.cert).validToDate.toISOString()}`,
    );
    const again = await open(httpPort(), session);
    expect(again.isSessionReused()).toBe(false);
    again.destroy();
    // A connection of before is still served.
    before.write('GET /v1/keys/key HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    const parts: Buffer[] = [];
    for await (const part of before) parts.push(part as Buffer);
    expect(Buffer.concat(parts).toString()).toMatch(/^HTTP\/1\.1 200 .*value$/s);
  });

  it('but not by a certificate that does not match the key: the previous one stays in use', async () => {
    const current = await certificates.issue();
    certificates.mount(current);
    await untilPresented(current);
    const next = await certificates.issue();
    writeFileSync(join(certificates.path('..data'), 'tls.crt'), next.cert);
    await logged('HTTP_TLS_KEY_FILE: does not match the certificate; keeping the previously loaded certificate');
    await untilPresented(current);
    writeFileSync(join(certificates.path('..data'), 'tls.key'), next.key);
    await untilPresented(next);
    const { text } = await proxy.get('/metrics');
    const expiry = new X509Certificate(next.cert).validToDate.getTime() / 1000;
    for (const listener of ['http', 'resp']) {
      expect(text).toContain(`tls_certificate_expiry_timestamp_seconds{listener="${listener}"} ${expiry}`);
    }
  });

  it('also for a thread that is restarted', async () => {
    const next = await certificates.issue();
    certificates.mount(next);
    await untilPresented(next);
    await proxy.inject(0, 'throw');
    // Connections in the backlog of the thread are reset.
    const metrics = (): Promise<string> =>
      proxy.get('/metrics').then(
        ({ text }) => text,
        () => '',
      );
    await until('the thread is restarted', async () => /thread_restarts_total 1$/m.test(await metrics()) || undefined);
    await until('it is ready', async () => /redis_connections 2$/m.test(await metrics()) || undefined);
    await untilPresented(next);
  });
});
