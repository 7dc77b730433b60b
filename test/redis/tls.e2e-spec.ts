import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { type Certificate, TestAuthority, mutualTls } from '../support/certificates.ts';
import { TestCluster } from '../support/cluster.ts';
import { sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { Child, freePort, until } from '../support/processes.ts';
import { type Settings, TestProxy, launch } from '../support/proxy.ts';
import { redisClient } from '../support/redis-client.ts';
import { TestSentinels } from '../support/sentinels.ts';

let directory: string;
let authority: TestAuthority;
let port: number;
let server: Child | undefined;
let child: Child | undefined;

beforeAll(async () => {
  authority = await TestAuthority.create();
});
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'test-tls-'));
  writeFileSync(join(directory, 'ca.pem'), authority.certificate.cert);
  port = await freePort();
});
afterEach(async () => {
  const code = await child?.stop();
  await server?.stop('SIGKILL');
  rmSync(directory, { recursive: true });
  expect(code).toBe(0);
  child = server = undefined;
});

function files(name: string, { cert, key }: Certificate): readonly [string, string] {
  const paths = [join(directory, `${name}.pem`), join(directory, `${name}-key.pem`)] as const;
  writeFileSync(paths[0], cert);
  writeFileSync(paths[1], key);
  return paths;
}

const ca = (): string => join(directory, 'ca.pem');

/** Starts a Redis that accepts only TLS, with one key. */
async function startRedis(certificate: Certificate, ...args: string[]): Promise<void> {
  const [cert, key] = files('redis', certificate);
  const options = {
    ...{ port: 0, 'tls-port': port, bind: '127.0.0.1', save: '', dir: directory },
    ...{ 'tls-cert-file': cert, 'tls-key-file': key, 'tls-ca-cert-file': ca() },
  };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  server = new Child('redis-server', [...flags, ...args], { env: process.env });
  // Only the proxy's verification of certificates is tested.
  const tls = { ...(await authority.issue(['test'])), rejectUnauthorized: false };
  const client = redisClient({ port, tls });
  await until('Redis answers', async () => ((await client.set('key', 'value')) === 'OK' ? true : undefined));
  client.disconnect();
}

async function startProxy(settings: Settings = {}, host = '127.0.0.1'): Promise<TestProxy> {
  const all = { PROXY_THREADS: 1, REDIS_URL: `rediss://${host}:${port}`, REDIS_TLS_CA_FILE: ca(), ...settings };
  const proxy = await TestProxy.start(all);
  child = proxy.child;
  return proxy;
}

/** Expects that the proxy logs why it rejects Redis and responds with 503. */
async function expectRefusal(reason: RegExp, settings: Settings = {}, host = '127.0.0.1'): Promise<void> {
  const url = `rediss://${host}:${port}`;
  const proxy = (child = launch({ PROXY_THREADS: 1, REDIS_URL: url, REDIS_TLS_CA_FILE: ca(), ...settings }));
  const base = await until('the proxy listens', () => /listening on (http:[^"]+)"/.exec(proxy.output)?.[1]);
  await until('it says why', () => reason.test(proxy.output) || undefined).catch((error: unknown) => {
    throw new Error(`${proxy.output}${proxy.errors}`, { cause: error });
  });
  const [read, ready] = await Promise.all([sendRequest(base, '/v1/keys/key'), sendRequest(base, '/health/ready')]);
  expect([read.status, read.json.code, ready.status]).toEqual([503, 'redis-unavailable', 503]);
  expect(`${proxy.output}${proxy.errors}`).not.toContain('PRIVATE KEY');
}

describeOwn('TLS to Redis', () => {
  it.each([
    ['an address', '127.0.0.1'],
    ['a name', 'localhost'],
  ])('is established with a certificate of the authority for %s', async (_, host) => {
    await startRedis(await authority.issue([host]), '--tls-auth-clients', 'no');
    expect((await (await startProxy({}, host)).key('key')).text).toBe('value');
  });

  it.each([
    ['an address', '127.0.0.1'],
    ['a name', 'localhost'],
  ])('is refused with a certificate for another host than %s', async (_, host) => {
    await startRedis(await authority.issue(['redis.example', '10.0.0.1']), '--tls-auth-clients', 'no');
    await expectRefusal(
      /not reachable \(ERR_TLS_CERT_ALTNAME_INVALID: certificate is valid for another host name\)/,
      {},
      host,
    );
  });

  it('is established with a certificate for REDIS_TLS_SERVER_NAME in place of the host', async () => {
    await startRedis(await authority.issue(['redis.example']), '--tls-auth-clients', 'no');
    const proxy = await startProxy({ REDIS_TLS_SERVER_NAME: 'redis.example', CACHE_COHERENCE: 'tracking' });
    expect((await proxy.key('key')).text).toBe('value');
    await until('it tracks', () => /tracking active/.test(proxy.child?.output ?? '') || undefined);
    await proxy.stop();
    await expectRefusal(/not reachable \(ERR_TLS_CERT_ALTNAME_INVALID/, { REDIS_TLS_SERVER_NAME: 'other.example' });
  });

  it('is established with any certificate if REDIS_TLS_REJECT_UNAUTHORIZED is false, with one warning', async () => {
    const selfSigned = await TestAuthority.create();
    await startRedis(await selfSigned.issue(['redis.example'], true), '--tls-auth-clients', 'no');
    const settings = { REDIS_URL: `valkeys://127.0.0.1:${port}`, REDIS_TLS_CA_FILE: '' };
    const proxy = await startProxy({ ...settings, REDIS_TLS_REJECT_UNAUTHORIZED: 'false' });
    expect((await proxy.key('key')).text).toBe('value');
    const warnings = proxy.log().filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toEqual([
      'REDIS_TLS_REJECT_UNAUTHORIZED: false, the certificate of Redis is not verified',
    ]);
  });

  it('is refused with an expired certificate', async () => {
    await startRedis(await authority.issue(['127.0.0.1'], true), '--tls-auth-clients', 'no');
    await expectRefusal(/not reachable \(CERT_HAS_EXPIRED: certificate has expired\)/);
  });

  it.each(['another authority than that of REDIS_TLS_CA_FILE', 'an unknown authority'])(
    'is refused with a certificate of %s',
    async (whose) => {
      await startRedis(await authority.issue(['127.0.0.1']), '--tls-auth-clients', 'no');
      const other = join(directory, 'other.pem');
      writeFileSync(other, (await TestAuthority.create()).certificate.cert);
      const reason = /not reachable \([A-Z_]+: certificate signed by an unknown authority\)/;
      await expectRefusal(reason, { REDIS_TLS_CA_FILE: whose === 'an unknown authority' ? '' : other });
    },
  );

  it('is refused if the server does not use TLS', async () => {
    server = new Child('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
      env: process.env,
    });
    // Redis parses the handshake as an inline command. If its random bytes contain no line feed, Redis waits for more until the
    // proxy's time-out.
    await expectRefusal(/not reachable \([^)]+\)/, { REDIS_CONNECT_TIMEOUT_MS: 1000 });
  });

  it('is established with a client certificate if Redis requires one', async () => {
    await startRedis(await authority.issue(['127.0.0.1']));
    const [cert, key] = files('proxy', await authority.issue(['proxy']));
    const proxy = await startProxy({ REDIS_TLS_CERT_FILE: cert, REDIS_TLS_KEY_FILE: key });
    expect((await proxy.key('key')).text).toBe('value');
  });

  it('is refused by a Redis that requires a client certificate if none is configured', async () => {
    await startRedis(await authority.issue(['127.0.0.1']));
    // The alert is lost if the connection is reset right after it.
    await expectRefusal(/not reachable \((?:[A-Z_\d]+: client certificate required|ECONNRESET)\)/);
  });
});

describeOwn('mutual TLS', () => {
  it('is established with the sentinels, their master and its replica', async () => {
    const tls = await mutualTls(directory, ['127.0.0.1']);
    const sentinels = await TestSentinels.start({ tls });
    try {
      await sentinels.master.client.set('key', 'value');
      const names = { REDIS_MODE: 'sentinel', REDIS_NODES: sentinels.addresses, REDIS_SENTINEL_NAME: sentinels.name };
      const [{ client }] = sentinels.sentinels;
      const subscribers = async (): Promise<number> => String(await client.client('LIST')).split(' sub=1 ').length - 1;
      // That of the test.
      expect(await subscribers()).toBe(1);
      expect((await (await startProxy({ ...names, ...tls.settings })).key('key')).text).toBe('value');
      await until('it waits for failovers', async () => (await subscribers()) > 1 || undefined);
      await child?.stop();
      await sentinels.master.client.wait(1, 10_000);
      const proxy = await startProxy({ ...names, ...tls.settings, REDIS_READ_FROM: 'replica' });
      expect((await proxy.key('key')).text).toBe('value');
    } finally {
      await child?.stop();
      await sentinels.stop();
    }
  });

  it('is established with the nodes of a cluster, each with a certificate for its address', async () => {
    const tls = await mutualTls(directory, ['127.0.0.1']);
    const cluster = await TestCluster.start(2, 0, [], tls);
    try {
      // Slots 5061 and 12182.
      for (const [i, key] of ['bar', 'foo'].entries()) await cluster.masters[i].client.set(key, 'value');
      const settings = { REDIS_MODE: 'cluster', ...tls.settings };
      const proxy = await startProxy({ ...settings, REDIS_NODES: cluster.addresses });
      const responses = await Promise.all(['foo', 'bar'].map((key) => proxy.key(key)));
      expect(responses.map(({ text }) => text)).toEqual(['value', 'value']);
      await child?.stop();
      const named = cluster.addresses.replaceAll('127.0.0.1', 'localhost');
      const reason = /not reachable \(ERR_TLS_CERT_ALTNAME_INVALID: certificate is valid for another host name\)/;
      await expectRefusal(reason, { ...settings, REDIS_NODES: named });
    } finally {
      await child?.stop();
      await cluster.stop();
    }
  });
});
