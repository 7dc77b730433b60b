import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type TestResponse, exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

/** Part of every token, password, key and value of this test, and of nothing else; also in base64. */
const SECRET = 'hush-hush-hush';
const SECRET_PATTERN = new RegExp(`hush|${Buffer.from(SECRET).toString('base64').slice(4, 12)}`, 'i');
const key = (name: string): string => `${SECRET}:${name}`;

const READER = { authorization: `Bearer ${SECRET}-reader` };
const ADMIN = { authorization: `Bearer ${SECRET}-admin` };
const JSON_BODY = { 'content-type': 'application/json' };

describeOwn('no token, password, key or value stands in the log, in an error, or in the metrics', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let sockets: RespSocket[];
  /** All responses that are not values. */
  let revealed: string[];

  beforeEach(async () => {
    [sockets, revealed] = [[], []];
    redis = await TestRedis.start();
    const { client } = redis;
    await client.set(key('text'), `${SECRET} value`);
    await client.set(key('binary'), Buffer.from([0xff, ...Buffer.from(SECRET)]));
    await client.rpush(key('list'), SECRET);
    // The client that is already connected stays connected.
    await client.config('SET', 'requirepass', `${SECRET}-redis`);
    proxy = await TestProxy.start({
      REDIS_URL: redis.url.replace('redis://', `redis://:${SECRET}-redis@`),
      RESP_PORT: 0,
      PROXY_THREADS: 2,
      LOG_LEVEL: 'trace',
      ACCESS_TOKEN: `${SECRET}-reader,${SECRET}-other`,
      ADMIN_TOKEN: `${SECRET}-admin`,
      KEY_ALLOWLIST: '[h]*:*',
      REDIS_COMMAND_TIMEOUT_MS: 300,
      // A connection is closed if nothing is received in time, as from a test that cannot run.
      HTTP_HEADERS_TIMEOUT_MS: 3000,
    });
  });
  afterEach(async () => {
    for (const { socket } of sockets) socket.destroy();
    redis.server?.signal('SIGCONT');
    await proxy.stop();
    await redis.stop();
  });

  const collect = ({ status, headers, text }: TestResponse): void => {
    revealed.push(JSON.stringify(headers), status >= 400 ? text : '');
  };

  async function readAll(): Promise<void> {
    for (const name of ['text', 'binary', 'list', 'nobody', 'x'.repeat(70_000)]) {
      for (const headers of [
        READER,
        { ...READER, 'if-none-match': `"${SECRET}"` },
        { ...READER, 'content-length': '0' },
      ]) {
        collect(await proxy.key(key(name), headers));
      }
    }
    const keys = ['text', 'list', 'nobody'].map(key);
    const { json } = await proxy.request('/v1/mget', {
      method: 'POST',
      headers: { ...READER, ...JSON_BODY },
      body: JSON.stringify({ keys }),
    });
    // A requested value is not a leak.
    revealed.push(
      ...(json.results as { status: number }[])
        .filter(({ status }) => status >= 400)
        .map((each) => JSON.stringify(each)),
    );
    for (const path of ['list', 'nobody', 'x'.repeat(70_000)].map((name) => `/get/${key(name)}`)) {
      collect(await proxy.get(`${path}?_token=${SECRET}-reader`));
    }
    const client = await RespSocket.open(respPort(proxy));
    sockets.push(client);
    client.send(
      request('AUTH', `${SECRET}-reader`),
      request('GET', key('list')),
      request('MGET', ...keys),
      request('TTL', key('text')),
      'QUIT\r\n',
    );
    revealed.push((await client.rest()).replaceAll(`${SECRET} value`, ''));
  }

  async function sendInvalidRequests(): Promise<void> {
    for (const headers of [{}, { authorization: `Bearer ${SECRET}` }, { authorization: `Basic ${SECRET}` }] as Record<
      string,
      string
    >[]) {
      collect(await proxy.key(key('text'), headers));
      collect(await proxy.get(`/v1/cache/${key('text')}`, headers));
    }
    const allowed: readonly [string, string][] = [
      ...[
        ['GET', `/${SECRET}`],
        ['GET', `/v1/keys/%zz${SECRET}`],
        ['PUT', `/v1/keys/${key('text')}`],
        ['GET', '/v1/keys/secret'],
      ],
      ...[
        ['POST', `/v1/cache/${key('text')}?${SECRET}`],
        ['GET', `/health/${SECRET}`],
        ['OPTIONS', `/v1/mget?${SECRET}`],
      ],
      ...[
        ['DELETE', `/v1/cache/%z${SECRET}`],
        ['DELETE', `/v1/cache/${key('text')}`],
        ['GET', `/docs/${SECRET}`],
        ['GET', `//${SECRET}`],
      ],
    ] as [string, string][];
    for (const [method, path] of allowed) {
      collect(await proxy.request(path, { method, headers: path.startsWith('/v1/cache') ? ADMIN : READER }));
    }
    for (const body of [
      SECRET,
      `{"keys":["${SECRET}",""]}`,
      `{"${SECRET}":1}`,
      `{"keys":["${SECRET}${'x'.repeat(70_000)}"]}`,
      `{"keys":[{"base64":"${SECRET}"}]}`,
    ]) {
      collect(await proxy.request('/v1/mget', { method: 'POST', headers: { ...READER, ...JSON_BODY }, body }));
    }
    for (const body of [
      SECRET,
      `["GET","${SECRET}","${SECRET}"]`,
      `["SET","${SECRET}","${SECRET}"]`,
      `["GET",["${SECRET}"]]`,
    ]) {
      collect(await proxy.request(`/?_token=${SECRET}-reader`, { method: 'POST', body }));
      collect(await proxy.request(`/pipeline?_token=${SECRET}-other`, { method: 'POST', body: `[${body}]` }));
      collect(await proxy.request(`/?_token=${SECRET}`, { method: 'POST', body }));
    }
    for (const path of [`/get/%zz${SECRET}`, `/get/%ff/${SECRET}`, `/set/${SECRET}/${SECRET}`, `/hget/${SECRET}`]) {
      collect(await proxy.get(`${path}?_token=${SECRET}-reader`));
      collect(await proxy.get(`${path}?_token=%zz${SECRET}`));
    }
    for (const bytes of [
      `${SECRET}\r\n\r\n`,
      `GET /v1/keys/${SECRET} HTTP/1.1\r\nHost: x\r\nAuthorization : ${SECRET}\r\n\r\n`,
      `GET /v1/keys/${SECRET} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET}\r\nX: ${'x'.repeat(300_000)}\r\n\r\n`,
      `GET /v1/keys/${SECRET} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${SECRET}`,
    ]) {
      revealed.push(await exchange(proxy.url, bytes));
    }
    for (const bytes of [
      [request('GET', key('text'))],
      [request('AUTH', SECRET)],
      [request('AUTH', SECRET, SECRET)],
      [request('HELLO', '3', 'AUTH', 'default', SECRET)],
      [request('AUTH', `${SECRET}-reader`), request('FETCH', key('text'), SECRET), request('SET', key('text'), SECRET)],
      [request('AUTH', `${SECRET}-reader`), request('GET', 'secret'), request('GET', key('text'), SECRET)],
      [
        request('AUTH', `${SECRET}-reader`),
        request('CONFIG', 'SET', 'requirepass', SECRET),
        request('CONFIG', 'GET', '*'),
      ],
      [request('AUTH', `${SECRET}-reader`), request('INFO'), request('CLIENT', 'INFO')],
      [`*1\r\n${SECRET}\r\n`],
      [`"${SECRET}\r\n`],
    ]) {
      const client = await RespSocket.open(respPort(proxy));
      sockets.push(client);
      client.send(...bytes, 'QUIT\r\n');
      // As in Redis, the error for an unknown command repeats what the client itself has sent.
      revealed.push(
        (await client.rest()).replace(/(-ERR unknown command 'FETCH', with args beginning with: ).*/, '$1'),
      );
    }
  }

  async function expectNoSecrets(): Promise<void> {
    for (const path of ['/metrics', '/openapi.json', '/docs', '/docs/swagger-ui-init.js', '/health/ready']) {
      revealed.push((await proxy.get(path)).text);
    }
    revealed.push(JSON.stringify(await proxy.stats()));
    // The settings are logged, so their tokens could have been revealed.
    expect(proxy.child?.output).toContain('"message":"starting"');
    for (const text of [...revealed, ...(proxy.child?.output.split('\n') ?? []), proxy.child?.errors]) {
      expect(text).not.toMatch(SECRET_PATTERN);
    }
  }

  it('in normal operation, and with misbehaving clients', async () => {
    await readAll();
    await sendInvalidRequests();
    await expectNoSecrets();
  });

  it('when Redis is slow, disconnected, or rejects the password', async () => {
    redis.server?.signal('SIGSTOP');
    await readAll();
    redis.server?.signal('SIGCONT');
    await redis.client.config('SET', 'requirepass', 'another');
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until(
      'the password to be rejected',
      () => /WRONGPASS|NOAUTH|not reachable/.test(proxy.child?.output ?? '') || undefined,
    );
    await readAll();
    await redis.server?.stop('SIGKILL');
    await readAll();
    await expectNoSecrets();
  });

  it('when a thread crashes, and on shutdown', async () => {
    await readAll();
    await proxy.inject(0, 'throw');
    await until('the crash to be logged', () => proxy.child?.output.includes('exited (code') || undefined);
    await proxy.ready();
    await expectNoSecrets();
    await proxy.stop();
    expect(`${proxy.child?.output}${proxy.child?.errors}`).not.toMatch(SECRET_PATTERN);
  });
});
