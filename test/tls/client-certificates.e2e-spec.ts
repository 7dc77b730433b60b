import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { TestAuthority } from '../support/certificates.ts';
import { exchange } from '../support/http-client.ts';
import { ListenerCertificates } from '../support/listener-certificates.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { redisClient } from '../support/redis-client.ts';
import { TestRedis } from '../support/redis.ts';
import { respPort } from '../support/resp.ts';

const HOST = '127.0.0.1';

describeOwn('client certificates', () => {
  let certificates: ListenerCertificates;
  let redis: TestRedis;
  let proxy: TestProxy;
  const clients: Record<'accepted' | 'none' | 'other authority' | 'expired', ConnectionOptions> = {
    accepted: {},
    none: {},
    'other authority': {},
    expired: {},
  };

  beforeAll(async () => {
    [certificates, redis] = await Promise.all([ListenerCertificates.create(), TestRedis.start()]);
    await redis.client.set('key', 'value');
    const authority = await TestAuthority.create();
    writeFileSync(certificates.path('clients.pem'), authority.certificate.cert);
    const common = certificates.client;
    clients.accepted = { ...common, ...(await authority.issue(['client'])) };
    clients.none = common;
    clients['other authority'] = { ...common, ...(await certificates.authority.issue(['client'])) };
    clients.expired = { ...common, ...(await authority.issue(['client'], true)) };
    const ca = certificates.path('clients.pem');
    proxy = await TestProxy.start(
      {
        ...{ REDIS_URL: redis.url, ...certificates.settings },
        ...{ HTTP_TLS_CLIENT_CA_FILE: ca, RESP_TLS_CLIENT_CA_FILE: ca },
      },
      '/',
      true,
      [],
      clients.accepted,
    );
  });
  afterAll(async () => {
    const code = await proxy.stop();
    await redis.stop();
    certificates.remove();
    expect(code).toBe(0);
  });

  const refusals = async (listener: string): Promise<number> => {
    const { text } = await proxy.get('/metrics');
    const name = `tls_handshake_failures_total\\{listener="${listener}",reason="client-certificate"\\}`;
    return Number(new RegExp(`${name} (\\d+)`).exec(text)?.[1]);
  };

  async function ping(tls: ConnectionOptions): Promise<string> {
    const client = redisClient({ port: respPort(proxy), host: HOST, tls, retryStrategy: null });
    try {
      return (await client.get('key')) ?? 'no value';
    } finally {
      client.disconnect();
    }
  }

  it('of the given authority are accepted', async () => {
    expect((await proxy.key('key')).text).toBe('value');
    expect(await ping(clients.accepted)).toBe('value');
  });

  it('are not needed by the health check of the container', async () => {
    const script = new URL('../../deploy/container/healthcheck.mjs', import.meta.url).pathname;
    const run = (port: string): number | null => {
      const env = { ...process.env, HTTP_HOST: HOST, HTTP_PORT: port, HTTP_TLS_CERT_FILE: 'any' };
      return spawnSync(process.execPath, [script, '0'], { env }).status;
    };
    // It gives the proxy two seconds.
    await until('the proxy is alive', () => run(new URL(proxy.url).port) === 0 || undefined);
    expect(run('1')).toBe(1);
  });

  it.each(['none', 'other authority', 'expired'] as const)(
    'that are not of the given authority are refused and counted: %s',
    async (name) => {
      const [http, resp] = [await refusals('http'), await refusals('resp')];
      await expect(proxy.request('/v1/keys/key', { tls: clients[name] })).rejects.toThrow();
      await expect(ping(clients[name])).rejects.toThrow();
      await until('they are counted', async () => {
        const counts = [await refusals('http'), await refusals('resp')];
        return (counts[0] === http + 1 && counts[1] === resp + 1) || undefined;
      });
      expect(proxy.log().filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
      expect((await proxy.key('key')).text).toBe('value');
    },
  );

  it('of an authority that is removed are refused, also to clients that resume a session of before', async () => {
    const port = Number(new URL(proxy.url).port);
    const before = { host: HOST, port, ...clients.accepted, maxVersion: 'TLSv1.2' } as const;
    const socket = connect(before);
    await once(socket, 'secureConnect');
    const session = socket.getSession();
    socket.destroy();
    const get = 'GET /v1/keys/key HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
    const resumed = (tls: ConnectionOptions): Promise<string> =>
      exchange(proxy.url, get, undefined, { ...tls, session, maxVersion: 'TLSv1.2' }).catch(() => '');
    expect(await resumed(clients.none)).toMatch(/^HTTP\/1\.1 200 /);
    writeFileSync(certificates.path('clients.pem'), certificates.authority.certificate.cert);
    await until('another authority is accepted', async () =>
      proxy.request('/v1/keys/key', { tls: clients['other authority'] }).then(
        ({ status }) => status === 200 || undefined,
        () => undefined,
      ),
    );
    expect([await resumed(clients.accepted), await resumed(clients.none)]).toEqual(['', '']);
  });
});
