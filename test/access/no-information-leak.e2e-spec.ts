import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type HttpAnswer, exchange } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

/** Part of every token, password, key and value of this test, and of nothing else; also in base64. */
const HUSH = 'hush-hush-hush';
const TOLD = new RegExp(`hush|${Buffer.from(HUSH).toString('base64').slice(4, 12)}`, 'i');
const key = (name: string): string => `${HUSH}:${name}`;

const READER = { authorization: `Bearer ${HUSH}-reader` };
const ADMIN = { authorization: `Bearer ${HUSH}-admin` };
const JSON_BODY = { 'content-type': 'application/json' };

describeOwn('no token, password, key or value stands in the log, in an error, or in the metrics', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let sockets: RespSocket[];
  /** All responses that are not values. */
  let told: string[];

  beforeEach(async () => {
    [sockets, told] = [[], []];
    redis = await TestRedis.start();
    const { client } = redis;
    await client.set(key('text'), `${HUSH} value`);
    await client.set(key('binary'), Buffer.from([0xff, ...Buffer.from(HUSH)]));
    await client.rpush(key('list'), HUSH);
    // The client that is already connected stays connected.
    await client.config('SET', 'requirepass', `${HUSH}-redis`);
    proxy = await TestProxy.start({
      REDIS_URL: redis.url.replace('redis://', `redis://:${HUSH}-redis@`),
      RESP_PORT: 0,
      PROXY_THREADS: 2,
      LOG_LEVEL: 'trace',
      ACCESS_TOKEN: `${HUSH}-reader,${HUSH}-other`,
      ADMIN_TOKEN: `${HUSH}-admin`,
      KEY_ALLOWLIST: '[h]*:*',
      REDIS_COMMAND_TIMEOUT_MS: 300,
      HTTP_HEADERS_TIMEOUT_MS: 500,
    });
  });
  afterEach(async () => {
    for (const { socket } of sockets) socket.destroy();
    redis.server?.signal('SIGCONT');
    await proxy.stop();
    await redis.stop();
  });

  const tell = ({ status, headers, text }: HttpAnswer): void => {
    told.push(JSON.stringify(headers), status >= 400 ? text : '');
  };

  async function readAll(): Promise<void> {
    for (const name of ['text', 'binary', 'list', 'nobody', 'x'.repeat(70_000)]) {
      for (const headers of [
        READER,
        { ...READER, 'if-none-match': `"${HUSH}"` },
        { ...READER, 'content-length': '0' },
      ]) {
        tell(await proxy.key(key(name), headers));
      }
    }
    const keys = ['text', 'list', 'nobody'].map(key);
    const { json } = await proxy.ask('/v1/mget', {
      method: 'POST',
      headers: { ...READER, ...JSON_BODY },
      body: JSON.stringify({ keys }),
    });
    // A requested value is not a leak.
    told.push(
      ...(json.results as { status: number }[])
        .filter(({ status }) => status >= 400)
        .map((each) => JSON.stringify(each)),
    );
    for (const path of ['list', 'nobody', 'x'.repeat(70_000)].map((name) => `/get/${key(name)}`)) {
      tell(await proxy.get(`${path}?_token=${HUSH}-reader`));
    }
    const client = await RespSocket.open(respPort(proxy));
    sockets.push(client);
    client.send(
      request('AUTH', `${HUSH}-reader`),
      request('GET', key('list')),
      request('MGET', ...keys),
      request('TTL', key('text')),
      'QUIT\r\n',
    );
    told.push((await client.rest()).replaceAll(`${HUSH} value`, ''));
  }

  async function misbehave(): Promise<void> {
    for (const headers of [{}, { authorization: `Bearer ${HUSH}` }, { authorization: `Basic ${HUSH}` }] as Record<
      string,
      string
    >[]) {
      tell(await proxy.key(key('text'), headers));
      tell(await proxy.get(`/v1/cache/${key('text')}`, headers));
    }
    const allowed: readonly [string, string][] = [
      ...[
        ['GET', `/${HUSH}`],
        ['GET', `/v1/keys/%zz${HUSH}`],
        ['PUT', `/v1/keys/${key('text')}`],
        ['GET', '/v1/keys/secret'],
      ],
      ...[
        ['POST', `/v1/cache/${key('text')}?${HUSH}`],
        ['GET', `/health/${HUSH}`],
        ['OPTIONS', `/v1/mget?${HUSH}`],
      ],
      ...[
        ['DELETE', `/v1/cache/%z${HUSH}`],
        ['DELETE', `/v1/cache/${key('text')}`],
        ['GET', `/docs/${HUSH}`],
        ['GET', `//${HUSH}`],
      ],
    ] as [string, string][];
    for (const [method, path] of allowed) {
      tell(await proxy.ask(path, { method, headers: path.startsWith('/v1/cache') ? ADMIN : READER }));
    }
    for (const body of [
      HUSH,
      `{"keys":["${HUSH}",""]}`,
      `{"${HUSH}":1}`,
      `{"keys":["${HUSH}${'x'.repeat(70_000)}"]}`,
      `{"keys":[{"base64":"${HUSH}"}]}`,
    ]) {
      tell(await proxy.ask('/v1/mget', { method: 'POST', headers: { ...READER, ...JSON_BODY }, body }));
    }
    for (const body of [HUSH, `["GET","${HUSH}","${HUSH}"]`, `["SET","${HUSH}","${HUSH}"]`, `["GET",["${HUSH}"]]`]) {
      tell(await proxy.ask(`/?_token=${HUSH}-reader`, { method: 'POST', body }));
      tell(await proxy.ask(`/pipeline?_token=${HUSH}-other`, { method: 'POST', body: `[${body}]` }));
      tell(await proxy.ask(`/?_token=${HUSH}`, { method: 'POST', body }));
    }
    for (const path of [`/get/%zz${HUSH}`, `/get/%ff/${HUSH}`, `/set/${HUSH}/${HUSH}`, `/hget/${HUSH}`]) {
      tell(await proxy.get(`${path}?_token=${HUSH}-reader`));
      tell(await proxy.get(`${path}?_token=%zz${HUSH}`));
    }
    for (const bytes of [
      `${HUSH}\r\n\r\n`,
      `GET /v1/keys/${HUSH} HTTP/1.1\r\nHost: x\r\nAuthorization : ${HUSH}\r\n\r\n`,
      `GET /v1/keys/${HUSH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${HUSH}\r\nX: ${'x'.repeat(300_000)}\r\n\r\n`,
      `GET /v1/keys/${HUSH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${HUSH}`,
    ]) {
      told.push(await exchange(proxy.url, bytes));
    }
    for (const bytes of [
      [request('GET', key('text'))],
      [request('AUTH', HUSH)],
      [request('AUTH', HUSH, HUSH)],
      [request('HELLO', '3', 'AUTH', 'default', HUSH)],
      [request('AUTH', `${HUSH}-reader`), request('FETCH', key('text'), HUSH), request('SET', key('text'), HUSH)],
      [request('AUTH', `${HUSH}-reader`), request('GET', 'secret'), request('GET', key('text'), HUSH)],
      [request('AUTH', `${HUSH}-reader`), request('CONFIG', 'SET', 'requirepass', HUSH), request('CONFIG', 'GET', '*')],
      [request('AUTH', `${HUSH}-reader`), request('INFO'), request('CLIENT', 'INFO')],
      [`*1\r\n${HUSH}\r\n`],
      [`"${HUSH}\r\n`],
    ]) {
      const client = await RespSocket.open(respPort(proxy));
      sockets.push(client);
      client.send(...bytes, 'QUIT\r\n');
      told.push(await client.rest());
    }
  }

  async function expectNothingTold(): Promise<void> {
    for (const path of ['/metrics', '/openapi.json', '/docs', '/docs/swagger-ui-init.js', '/health/ready']) {
      told.push((await proxy.get(path)).text);
    }
    told.push(JSON.stringify(await proxy.stats()));
    // The tokens of the settings could have been revealed as well.
    expect(proxy.child?.output).toContain('"message":"starting"');
    for (const text of [...told, ...(proxy.child?.output.split('\n') ?? []), proxy.child?.errors]) {
      expect(text).not.toMatch(TOLD);
    }
  }

  it('in normal operation, and with misbehaving clients', async () => {
    await readAll();
    await misbehave();
    await expectNothingTold();
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
    await expectNothingTold();
  });

  it('when a thread crashes, and on shutdown', async () => {
    await readAll();
    await proxy.inject(0, 'throw');
    await until('the crash to be logged', () => proxy.child?.output.includes('exited (code') || undefined);
    await proxy.ready();
    await expectNothingTold();
    await proxy.stop();
    expect(`${proxy.child?.output}${proxy.child?.errors}`).not.toMatch(TOLD);
  });
});
