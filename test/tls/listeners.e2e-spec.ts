import { once } from 'node:events';
import { Agent } from 'node:https';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createClient } from 'redis';
import { exchange, sendRequest } from '../support/http-client.ts';
import { ListenerCertificates } from '../support/listener-certificates.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { redisClient } from '../support/redis-client.ts';
import { TestRedis } from '../support/redis.ts';
import { redisProgram, request, respPort } from '../support/resp.ts';

const HOST = '127.0.0.1';
/** Longer than a TLS record, and than what is written directly. */
const LARGE = 'x'.repeat(100_000);

const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n${more}\r\n`;
const last = (path: string, method = 'GET'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`;

describeOwn('TLS on the ports of HTTP and the Redis protocol', () => {
  let certificates: ListenerCertificates;
  let redis: TestRedis;
  let proxy: TestProxy;
  let withoutFastPath: TestProxy;

  beforeAll(async () => {
    [certificates, redis] = await Promise.all([ListenerCertificates.create(), TestRedis.start()]);
    await redis.client.mset({ key: 'value', large: LARGE });
    await redis.client.hset('hash', { field: 'value' });
    const settings = { REDIS_URL: redis.url, ...certificates.settings };
    const start = (more: object): Promise<TestProxy> =>
      TestProxy.start({ ...settings, ...more }, '/', true, [], certificates.client);
    [proxy, withoutFastPath] = await Promise.all([
      start({ PROXY_THREADS: 2 }),
      start({ HTTP_FAST_PATH: 'off', NODE_INTERNALS: 'off' }),
    ]);
    // Ages are 0 or 1, as those of the threads differ by microseconds.
    await Promise.all([proxy.stopClock(), withoutFastPath.stopClock()]);
  });
  afterAll(async () => {
    const codes = await Promise.all([proxy.stop(), withoutFastPath.stop()]);
    await redis.stop();
    certificates.remove();
    expect(codes).toEqual([0, 0]);
  });

  const exchangeWith = (target: TestProxy, bytes: string): Promise<string> =>
    exchange(target.url, bytes, undefined, certificates.client);

  it.each([
    ['hits', get('/v1/keys/key').repeat(20) + last('/v1/keys/key')],
    ['large values', get('/v1/keys/large').repeat(5) + last('/v1/keys/large')],
    ['hits, then a request for node:http', get('/v1/keys/key').repeat(3) + last('/v1/cache')],
    ['a request for node:http, then reads', get('/v1/none') + get('/v1/keys/key') + last('/v1/keys/large')],
    ['HEAD', get('/v1/keys/key') + last('/v1/keys/large', 'HEAD')],
    ['other resources', get('/v1/hashes/hash') + get('/v1/hashes/hash/field') + last('/v1/hashes/none')],
    ['an upgrade', get('/v1/keys/key', 'Connection: upgrade\r\nUpgrade: h2c\r\n') + last('/v1/keys/key')],
    ['CONNECT', 'CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n'],
    ['a malformed request behind a hit', `${get('/v1/keys/key')}nonsense\r\n\r\n`],
    [
      'a body',
      `POST /v1/mget HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n{"keys":["key","large"]}${last('/v1/keys/key')}`,
    ],
  ])('serves %s as without the fast path', async (_, bytes) => {
    const plain = (text: string): string =>
      text.replace(/^(?:Date|Age|Cache-Control|Cache-Status|Keep-Alive): .*\r\n|"age":[01],/gim, '');
    // The second time both have the values cached.
    for (let round = 0; round < 2; round++) {
      const [fast, other] = await Promise.all([proxy, withoutFastPath].map((each) => exchangeWith(each, bytes)));
      expect(plain(fast)).toBe(plain(other));
      expect(fast).toMatch(/^HTTP\/1\.1 \d{3} /);
    }
  });

  it('keeps connections open, and serves a client that has closed its sending side', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...certificates.client });
    for (const path of ['/v1/keys/key', '/health/ready', '/v1/keys/large', '/v1/keys/key']) {
      expect((await sendRequest(proxy.url, path, { agent, tls: certificates.client })).status).toBe(200);
    }
    agent.destroy();
    const { port } = new URL(proxy.url);
    for (const path of ['/v1/keys/key', '/health/ready']) {
      const halfOpen = { allowHalfOpen: true };
      const socket = connect({ host: HOST, port: Number(port), ...certificates.client, ...halfOpen });
      let received = '';
      socket.setEncoding('latin1').on('data', (text: string) => (received += text));
      socket.end(get(path));
      await once(socket, 'end');
      expect(received).toMatch(/^HTTP\/1\.1 200 /);
      socket.destroy();
    }
  });

  it('serves the Redis protocol to ioredis, node-redis and redis-cli', async () => {
    const port = respPort(proxy);
    const ioredis = redisClient({ port, host: HOST, tls: certificates.client });
    expect(await ioredis.mget('key', 'large', 'none')).toEqual(['value', LARGE, null]);
    const pipeline = ioredis.pipeline();
    for (let i = 0; i < 100; i++) pipeline.get(i % 10 === 0 ? 'large' : 'key').hget('hash', 'field');
    const replies = ((await pipeline.exec()) ?? []).map(([, reply]) => String(reply).length);
    expect([replies.length, new Set(replies)]).toEqual([200, new Set([LARGE.length, 5])]);
    ioredis.disconnect();
    const nodeRedis = createClient({
      socket: { host: HOST, port, tls: true, ca: certificates.authority.certificate.cert },
    });
    await nodeRedis.connect();
    expect(await nodeRedis.get('key')).toBe('value');
    nodeRedis.destroy();
    const cli = ['--tls', '--cacert', certificates.path('ca.pem'), '-h', HOST];
    expect(await redisProgram('redis-cli', port, ...cli, 'get', 'key')).toBe('value\n');
  });

  it.each([
    ['TLSv1.3', 'TLSv1.3'],
    ['TLSv1.2', 'TLSv1.2'],
    ['TLSv1.1', undefined],
  ] as const)('negotiates a version: with %s %s', async (version, expected) => {
    const { port } = new URL(proxy.url);
    const socket = connect({
      ...{ host: HOST, port: Number(port), ...certificates.client, minVersion: version, maxVersion: version },
      ...{ ciphers: 'DEFAULT@SECLEVEL=0', ALPNProtocols: ['h2', 'http/1.1'] },
    });
    const negotiated = await once(socket, 'secureConnect').then(
      () => [socket.getProtocol(), socket.alpnProtocol],
      () => [undefined, undefined],
    );
    socket.destroy();
    expect(negotiated).toEqual(expected === undefined ? [undefined, undefined] : [expected, 'http/1.1']);
  });

  it('resumes sessions in all threads', async () => {
    const { port } = new URL(proxy.url);
    const options = { host: HOST, port: Number(port), ...certificates.client };
    const first = connect({ ...options, maxVersion: 'TLSv1.2' });
    await once(first, 'secureConnect');
    const session = first.getSession();
    first.destroy();
    // The kernel distributes the connections.
    for (let i = 0; i < 16; i++) {
      const again = connect({ ...options, maxVersion: 'TLSv1.2', session });
      await once(again, 'secureConnect');
      expect(again.isSessionReused()).toBe(true);
      again.destroy();
    }
    const third = connect(options);
    const [ticket] = (await once(third, 'session')) as [Buffer];
    third.destroy();
    for (let i = 0; i < 16; i++) {
      const again = connect({ ...options, session: ticket });
      await once(again, 'secureConnect');
      expect(again.isSessionReused()).toBe(true);
      again.destroy();
    }
    // Those of another listener are not.
    const resp = connect({ ...options, port: respPort(proxy), session: ticket });
    await once(resp, 'secureConnect');
    expect(resp.isSessionReused()).toBe(false);
    resp.destroy();
  });

  it.each(['as usual', 'without private parts of Node.js'])(
    'tells clients that do not use TLS so, counts them, and logs no error: %s',
    async (name) => {
      const target = name === 'as usual' ? proxy : withoutFastPath;
      const failures = async (): Promise<number[]> => {
        const { text } = await target.get('/metrics');
        const count = (listener: string, reason: string): number =>
          Number(
            new RegExp(`tls_handshake_failures_total{listener="${listener}",reason="${reason}"} (\\d+)`).exec(
              text,
            )?.[1],
          );
        return [count('http', 'plain-text'), count('resp', 'plain-text'), count('http', 'protocol')];
      };
      const [http, resp, protocol] = await failures();
      const plain = target.url.replace('https:', 'http:');
      const large = 'POST /v1/mget HTTP/1.1\r\nHost: h\r\nContent-Length: 500000\r\n\r\n';
      const requests = [get('/v1/keys/key'), last('/v1/cache', 'DELETE'), large, 'CONNECT h:1 HTTP/1.1\r\n\r\n'];
      for (const bytes of [...requests, 'x'.repeat(1000), Buffer.alloc(5000, 0x16)]) {
        const received = await exchange(plain, bytes);
        expect(received).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*\r\nConnection: close\r\n\r\n{.*}$/s);
        expect(received).toContain('"detail":"This port requires TLS; use https."');
      }
      for (const bytes of [request('PING'), 'PING\r\n', get('/')]) {
        expect(await exchange(`http://${HOST}:${respPort(target)}`, bytes)).toBe('-ERR This port requires TLS\r\n');
      }
      // A handshake that is invalid is no plain text: OpenSSL sends an alert.
      const alert = await exchange(plain, Buffer.from([0x16, 0x03, 0x01, 0, 4, 0xff, 0, 0, 0]));
      expect(Buffer.from(alert, 'latin1').subarray(0, 2)).toEqual(Buffer.from([0x15, 0x03]));
      await until('they are counted', async () => {
        const now = await failures();
        return (now[0] === http + 6 && now[1] === resp + 3 && now[2] === protocol + 1) || undefined;
      });
      expect(target.log().filter(({ level }) => !['info', 'debug'].includes(String(level)))).toEqual([]);
    },
  );
});
