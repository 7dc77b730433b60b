import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { TestAuthority } from '../support/certificates.ts';
import { exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { redisClient } from '../support/redis-client.ts';
import { TestRedis } from '../support/redis.ts';
import { redisProgram, respPort } from '../support/resp.ts';

const HOST = '127.0.0.1';
/** Longer than a TLS record. */
const LARGE = 'x'.repeat(100_000);

describeOwn('TLS on the ports of HTTP and the Redis protocol', () => {
  let directory: string;
  let redis: TestRedis;
  let proxy: TestProxy;
  let ca: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tls-'));
    const authority = await TestAuthority.create();
    const { cert, key } = await authority.issue([HOST]);
    ca = authority.certificate.cert;
    const file = (name: string, text: string): string => {
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const [certFile, keyFile] = [file('cert.pem', cert), file('key.pem', key)];
    file('ca.pem', ca);
    redis = await TestRedis.start();
    await redis.client.mset({ key: 'value', large: LARGE });
    proxy = await TestProxy.start(
      {
        ...{ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 2 },
        ...{ HTTP_TLS_CERT_FILE: certFile, HTTP_TLS_KEY_FILE: keyFile },
        ...{ RESP_TLS_CERT_FILE: certFile, RESP_TLS_KEY_FILE: keyFile },
      },
      '/',
      true,
      [],
      { ca },
    );
  });
  afterAll(async () => {
    expect(await proxy.stop()).toBe(0);
    await redis.stop();
    rmSync(directory, { recursive: true });
  });

  it('serves values, and hands connections over to node:http', async () => {
    const requests = ['/v1/keys/key', '/v1/keys/key', '/v1/keys/large', '/v1/keys/none', '/health/ready'];
    const bytes = requests.map((path) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`).join('');
    const last = 'HEAD /v1/keys/large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
    const received = await exchange(proxy.url, bytes + last, undefined, { ca });
    expect(received.match(/HTTP\/1\.1 \d+/g)).toEqual([200, 200, 200, 404, 200, 200].map((s) => `HTTP/1.1 ${s}`));
    expect(received).toContain(LARGE);
  });

  it('serves clients of the Redis protocol', async () => {
    const client = redisClient({ port: respPort(proxy), host: HOST, tls: { ca } });
    expect(await client.mget('key', 'large', 'none')).toEqual(['value', LARGE, null]);
    client.disconnect();
    const cli = ['--tls', '--cacert', join(directory, 'ca.pem'), '-h', HOST];
    expect(await redisProgram('redis-cli', respPort(proxy), ...cli, 'get', 'key')).toBe('value\n');
  });

  it('closes connections that do not use TLS, and goes on', async () => {
    const plain = proxy.url.replace('https:', 'http:');
    expect(await exchange(plain, 'GET /v1/keys/key HTTP/1.1\r\nHost: h\r\n\r\n').catch(() => '')).toBe('');
    expect((await proxy.key('key')).text).toBe('value');
  });
});
