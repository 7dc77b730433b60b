import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestResponse, TestRequest } from '../support/http-client.ts';
import { drainResponse } from '../support/drain.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy, launch, percentEncode } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const MiB = 1024 * 1024;
const TOKEN = 'reader+/=';
const READER = { authorization: `Bearer ${TOKEN}` };
const BASE64 = { ...READER, 'upstash-encoding': 'base64' };
const READONLY = "READONLY You can't write against a read only replica.";
const WRONGTYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value';
const UNAUTHORIZED = 'WRONGPASS invalid or missing auth token';
const BINARY = Buffer.from([0x61, 0xff, 0x00, 0x62]);

let redis: TestRedis;
let proxy: TestProxy;

const post = (path: string, body: unknown, headers: Record<string, string> = READER): Promise<TestResponse> =>
  proxy.request(path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) });

async function run(...command: unknown[]): Promise<unknown> {
  return expectJson(await post('/', command), 200);
}

async function pipeline(...commands: unknown[][]): Promise<unknown> {
  return expectJson(await post('/pipeline', commands), 200);
}

function expectJson(response: TestResponse, status: number): unknown {
  const { 'content-type': type, 'cache-control': caching } = response.headers;
  expect([response.status, type, caching]).toEqual([status, 'application/json', 'no-store']);
  return response.json;
}

async function counted(outcome: string): Promise<number> {
  const line = new RegExp(`requests_total\\{transport="upstash",outcome="${outcome}"\\} (\\d+)`);
  return Number(line.exec((await proxy.get('/metrics')).text)?.[1]);
}

describeOwn("Upstash's REST API", () => {
  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 1,
      ACCESS_TOKEN: `${TOKEN},other`,
      KEY_ALLOWLIST: '[^s]*',
      ADMIN_TOKEN: 'admin',
      LOG_LEVEL: 'trace',
      CACHE_MAX_VALUE_BYTES: 4 * MiB,
      CACHE_TTL_MS: 3_600_000,
      REDIS_COMMAND_TIMEOUT_MS: 6000,
      PROXY_MAX_CONCURRENT_LOADS: 2,
      PROXY_MAX_QUEUED_LOADS: 0,
      HTTP_CORS_ORIGINS: 'https://page.example',
    });
    await redis.client.mset({ key: 'value', other: 'é "x"', empty: '', secret: 'hidden', 'a/b c': 'slash' });
    await redis.client.set(BINARY, BINARY);
    await redis.client.rpush('list', 'a');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  describe('POST /', () => {
    it.each<[unknown[], unknown]>([
      [['GET', 'key'], 'value'],
      [['get', 'other'], 'é "x"'],
      [['GeT', 'empty'], ''],
      [['GET', 'none'], null],
      [
        ['MGET', 'key', 'none', 'list', 'key'],
        ['value', null, null, 'value'],
      ],
      [['EXISTS', 'key', 'key', 'none', 'list'], 3],
      [['STRLEN', 'other'], 6],
      [['STRLEN', 'none'], 0],
      [['GETRANGE', 'key', 1, -2], 'alu'],
      [['GETRANGE', 'none', 0, 5], ''],
      [['TTL', 'key'], -1],
      [['PTTL', 'none'], -2],
      [['PING'], 'PONG'],
      [['PING', 'x'], 'x'],
      [['ECHO', true], 'true'],
    ])('%j returns %j', async (command, result) => {
      expect(await run(...command)).toEqual({ result });
    });

    it.each<[unknown[], string]>([
      [['GET', 'list'], WRONGTYPE],
      [['GETRANGE', 'list', '0', '1'], WRONGTYPE],
      [['GETRANGE', 'key', 0.5, 1], 'ERR value is not an integer or out of range'],
      [['GET', {}], 'ERR arguments must be strings, numbers or booleans'],
      [['SET', 'key', 'x'], READONLY],
      [['flushall'], READONLY],
      [['GET'], "ERR wrong number of arguments for 'get' command"],
      [['MGET'], "ERR wrong number of arguments for 'mget' command"],
      [['PING', 'a', 'b'], "ERR wrong number of arguments for 'ping' command"],
      [['ECHO'], "ERR wrong number of arguments for 'echo' command"],
      [['HGET', 'key', 'x'], WRONGTYPE],
      [['HGETEX'], READONLY],
      [['NONSENSE', 'key', 'x'], "ERR unknown command 'NONSENSE', with args beginning with: "],
      [['CAFÉ'], "ERR unknown command 'CAFÉ', with args beginning with: "],
      [['GET', 'secret'], 'NOPERM No permissions to access a key'],
      [['MGET', 'key', 'secret'], 'NOPERM No permissions to access a key'],
      [['TTL', 'secret'], 'NOPERM No permissions to access a key'],
      [['GET', 'x'.repeat(65_537)], 'ERR key exceeds 65536 bytes'],
      [['GET', null], 'ERR arguments must be strings, numbers or booleans'],
      [['GET', ['key']], 'ERR arguments must be strings, numbers or booleans'],
      [['GET', '\ud800'], 'ERR arguments must be strings, numbers or booleans'],
      [[], 'ERR empty command'],
    ])('%j is an error', async (command, error) => {
      expect(expectJson(await post('/', command), 400)).toEqual({ error });
    });

    it.each(['', '{', '{}', 'null', '"GET"', 'GET key', '["GET","\xff"]'])('is a bad request with %j', async (body) => {
      const response = await proxy.request('/', { method: 'POST', headers: READER, body: Buffer.from(body, 'latin1') });
      expect(expectJson(response, 400)).toEqual({ error: 'ERR the body must be JSON of the form ["GET", "a key"]' });
    });

    it('keeps the digits of a number that is a key, in a command and in a pipeline', async () => {
      const numbers = ['9007199254740993', '9007199254740992', '1e21', '1.0', '1', '-0', '0'];
      await redis.client.mset(numbers.flatMap((number) => [number, `that of ${number}`]));
      for (const number of numbers) {
        expect((await post('/', `["GET",${number}]`)).json).toEqual({ result: `that of ${number}` });
      }
      const results = (await post('/pipeline', `[${numbers.map((number) => `["GET",${number}]`).join()}]`)).json;
      expect(results).toEqual(numbers.map((number) => ({ result: `that of ${number}` })));
      const range = await post('/', '["GETRANGE","key",0,9223372036854775808]');
      expect(expectJson(range, 400)).toEqual({ error: 'ERR value is not an integer or out of range' });
    });

    it('encodes strings, but not errors, in base64 on request', async () => {
      await redis.client.set('binary', BINARY);
      expect((await post('/', ['GET', 'binary'], BASE64)).json).toEqual({ result: BINARY.toString('base64') });
      expect((await post('/', ['GET', 'binary'])).json).toEqual({ result: 'a\ufffd\u0000b' });
      expect((await post('/', ['MGET', 'key', 'none'], BASE64)).json).toEqual({ result: ['dmFsdWU=', null] });
      expect((await post('/', ['PING'], BASE64)).json).toEqual({ result: 'UE9ORw==' });
      expect((await post('/', ['STRLEN', 'key'], BASE64)).json).toEqual({ result: 5 });
      expect((await post('/', ['GET', 'list'], BASE64)).json).toEqual({ error: WRONGTYPE });
    });

    it('returns JSON only, accepts bodies of any type, and rejects a Content-Encoding', async () => {
      const body = ['GET', 'key'];
      expect((await post('/', body, { ...READER, 'content-type': 'text/plain' })).status).toBe(200);
      expect((await post('/', body, { ...READER, 'upstash-response-format': 'resp2' })).status).toBe(400);
      expect((await post('/', body, { ...READER, 'content-encoding': 'gzip' })).status).toBe(400);
      const encoded = await post('/', body, { ...READER, 'upstash-encoding': 'hex' });
      expect(expectJson(encoded, 400)).toEqual({ error: 'ERR unsupported Upstash-Encoding (only base64)' });
    });

    it('leaves other paths to other routes', async () => {
      expect((await proxy.get('/health/live')).status).toBe(200);
      expect((await proxy.key('key', READER)).text).toBe('value');
      for (const path of ['/hscan/key/x', '/getter/key', '/v1/get/key', '/pipelines']) {
        const response = await proxy.get(path, READER);
        expect([path, response.status, response.json.code]).toEqual([path, 404, 'route-not-found']);
        expect(response.headers['content-type']).toBe('application/problem+json');
      }
    });
  });

  describe('a path', () => {
    it.each<[string, unknown]>([
      ['/get/key', 'value'],
      ['/GET/key?x=1', 'value'],
      ['/mget/key/none/a%2Fb%20c', ['value', null, 'slash']],
      ['/exists/key', 1],
      ['/strlen/key', 5],
      ['/getrange/key/1/3', 'alu'],
      ['/ttl/key', -1],
      ['/pttl/key', -1],
      ['/ping', 'PONG'],
      ['/echo/%C3%A9', 'é'],
      ['/echo/', ''],
      [`/strlen/${percentEncode(BINARY)}`, 4],
    ])('%s returns %j', async (path, result) => {
      expect(expectJson(await proxy.get(path, READER), 200)).toEqual({ result });
    });

    it.each([
      ['/set/key/x', READONLY],
      ['/getex/key?EX=10', READONLY],
      ['/GETEX/key?PERSIST', READONLY],
      ['/get', "ERR wrong number of arguments for 'get' command"],
      ['/get/a/b', "ERR wrong number of arguments for 'get' command"],
      ['/get/secret', 'NOPERM No permissions to access a key'],
      ['/get/%', 'ERR invalid percent-encoding in the path'],
      [
        '/subscribe/channel',
        'ERR SUBSCRIBE is not supported: this proxy relays no messages; subscribe in Redis itself',
      ],
    ])('%s is an error', async (path, error) => {
      expect(expectJson(await proxy.get(path, READER), 400)).toEqual({ error });
    });

    it('accepts any bytes as its last argument in the body of a POST or a PUT', async () => {
      for (const method of ['POST', 'PUT']) {
        const options: TestRequest = { method, headers: READER, body: BINARY };
        expect((await proxy.request('/strlen', options)).json).toEqual({ result: 4 });
        expect((await proxy.request('/set/key', options)).json).toEqual({ error: READONLY });
      }
      expect((await post('/get/key', '')).json).toEqual({ result: 'value' });
    });

    it('supports HEAD', async () => {
      const { status, headers, body } = await proxy.request('/get/key', { method: 'HEAD', headers: READER });
      expect([status, headers['content-length'], body.length]).toEqual([200, '18', 0]);
    });
  });

  describe('POST /pipeline', () => {
    it('returns 200 with results in order, errors among them', async () => {
      expect(
        await pipeline(
          ['GET', 'key'],
          ['SET', 'key', 'x'],
          ['GET', 'none'],
          [],
          ['GET', 'list'],
          ['PING'],
          ['NO'],
          ['MGET', 'none', 'key'],
        ),
      ).toEqual([
        { result: 'value' },
        { error: READONLY },
        { result: null },
        { error: 'ERR empty command' },
        { error: WRONGTYPE },
        { result: 'PONG' },
        { error: "ERR unknown command 'NO', with args beginning with: " },
        { result: [null, 'value'] },
      ]);
    });

    it.each(['', '[]', '{}', '["GET","key"]', '[["PING"],1]'])('is a bad request with %s', async (body) => {
      expect(expectJson(await post('/pipeline', body), 400)).toEqual({
        error: 'ERR the body must be JSON of the form [["GET", "a key"], ["PING"]]',
      });
    });

    it('reads uncached keys in one round trip, each key once', async () => {
      const keys = Array.from({ length: 200 }, (_, i) => `trip${i}`);
      await redis.client.mset(keys.flatMap((key) => [key, key]));
      await redis.forgetCalls();
      // Two concurrent loads are permitted and none may queue: two hundred separate ones would not all be admitted.
      const results = await pipeline(
        ...keys.map((key) => ['GET', key]),
        ['MGET', ...keys],
        ['STRLEN', 'trip0'],
        ['EXISTS', ...keys],
        ...keys.map((key) => ['TTL', key]),
      );
      expect(results).toEqual([
        ...keys.map((key) => ({ result: key })),
        { result: keys },
        { result: 5 },
        { result: 200 },
        ...keys.map(() => ({ result: -1 })),
      ]);
      expect(await redis.calls('get')).toBe(200);
    });

    it('accepts up to 1,000 commands, 1,000 keys and 512 KiB', async () => {
      const commands = Array.from({ length: 1000 }, (_, i) => ['GET', `many${i}`]);
      expect(await pipeline(...commands)).toHaveLength(1000);
      const tooMuch = async (body: unknown, headers = READER) =>
        (expectJson(await post('/pipeline', body, headers), 413) as { error: string }).error;
      expect(await tooMuch([...commands, ['PING']])).toMatch(/1000 commands/);
      expect(await tooMuch([...commands.slice(1), ['MGET', 'a', 'b']])).toMatch(/1000 keys/);
      expect(await tooMuch([...commands.slice(2), ['TTL', 'a'], ['MGET', 'b', 'c']])).toMatch(/1000 keys/);
      const long = `[["GET","${' '.repeat(512 * 1024)}"]]`;
      expect(await tooMuch(long)).toMatch(/524288 bytes/);
      expect(await tooMuch(long, { ...READER, 'transfer-encoding': 'chunked' } as typeof READER)).toMatch(/524288/);
      const most = '\u0001'.repeat(65_536);
      expect(await pipeline(['GET', most])).toEqual([{ result: null }]);
      expect(expectJson(await post('/', ['MGET', ...commands.map(([, key]) => key), 'x']), 413)).toEqual({
        error: 'ERR a request is limited to 1000 keys',
      });
    });

    it('limits results to 16 MiB; a result beyond is an error, while lengths and numbers are returned', async () => {
      const keys = Array.from({ length: 6 }, (_, i) => `large${i}`);
      for (const key of keys) await redis.client.set(key, 'x'.repeat(3 * MiB));
      const gets = keys.map((key) => ['GET', key]);
      const kinds = async () =>
        (
          (await pipeline(...gets, ['STRLEN', 'large5'], ['EXISTS', ...keys])) as { result?: unknown; error?: string }[]
        ).map(({ result, error }) => (typeof result === 'string' ? result.length : (result ?? error?.slice(0, 17))));
      const expected = [...Array<number>(5).fill(3 * MiB), 'ERR values exceed', 3 * MiB, 6];
      expect(await kinds()).toEqual(expected);
      // Now from the cache.
      expect(await kinds()).toEqual(expected);
      expect(await pipeline(['GET', 'large5'])).toEqual([{ result: 'x'.repeat(3 * MiB) }]);
      await redis.client.set('escaped', '\u0001'.repeat(3 * MiB));
      expect(expectJson(await post('/', ['GET', 'escaped']), 400)).toEqual({
        error: expect.stringContaining('values exceed the size limit'),
      });
    });
  });

  describe('POST /multi-exec', () => {
    it('returns the results of all commands; an error of Redis does not discard the others', async () => {
      await redis.client.hset('transaction', { a: '1', b: '2' });
      const commands = [
        ['HGETALL', 'transaction'],
        ['GET', 'transaction'],
        ['PING'],
        ['HMGET', 'transaction', 'b', 'none'],
        ['TTL', 'transaction'],
      ];
      expect(expectJson(await post('/multi-exec', commands), 200)).toEqual([
        { result: ['a', '1', 'b', '2'] },
        { error: WRONGTYPE },
        { result: 'PONG' },
        { result: ['2', null] },
        { result: -1 },
      ]);
    });

    it('discards the transaction if a command is rejected', async () => {
      const discarded = async (command: unknown) =>
        expectJson(await post('/multi-exec', [['GET', 'key'], command]), 400);
      const error = (reason: string) => ({ error: `EXECABORT Transaction discarded because of: ${reason}` });
      expect(await discarded(['SET', 'key', 'x'])).toEqual(error(READONLY));
      expect(await discarded(['GET', 'secret'])).toEqual(error('NOPERM No permissions to access a key'));
      expect(await discarded(['HGET', 'key'])).toEqual(error("ERR wrong number of arguments for 'hget' command"));
      expect(expectJson(await post('/multi-exec', []), 400)).toEqual({
        error: 'ERR the body must be JSON of the form [["GET", "a key"], ["PING"]]',
      });
    });
  });

  it.each([
    ['GET', '/pipeline', 'POST'],
    ['PUT', '/multi-exec', 'POST'],
    ['DELETE', '/get/key', 'GET, HEAD, POST, PUT'],
  ])('%s %s is not allowed', async (method, path, allowed) => {
    const response = await proxy.request(path, { method, headers: READER });
    expect([response.status, response.headers.allow, response.json]).toEqual([
      405,
      allowed,
      { error: `ERR method not allowed (allowed: ${allowed})` },
    ]);
  });

  describe('requires a token', () => {
    const forms: readonly (readonly [string, TestRequest])[] = [
      ['/', { method: 'POST', body: '["GET","key"]' }],
      ['/pipeline', { method: 'POST', body: '[["GET","key"]]' }],
      ['/multi-exec', { method: 'POST', body: '[["GET","key"]]' }],
      ['/get/key', {}],
    ];

    it.each(forms)('in the header or in the query: %s', async (path, options) => {
      const token = encodeURIComponent(TOKEN);
      for (const headers of [READER, { authorization: 'Bearer other' }]) {
        expect((await proxy.request(path, { ...options, headers })).status).toBe(200);
      }
      for (const query of [`_token=${token}`, `x=1&_token=${TOKEN}`]) {
        expect((await proxy.request(`${path}?${query}`, options)).status).toBe(200);
      }
    });

    it.each(forms)('and rejects requests without one: %s', async (path, options) => {
      const before = await counted('unauthorized');
      await redis.forgetCalls();
      const asked: (readonly [string, Record<string, string>])[] = [
        [path, {}],
        [path, { authorization: 'Bearer guess' }],
        [path, { authorization: `Basic ${TOKEN}` }],
        [path, { authorization: 'Bearer admin' }],
        [`${path}?_token=guess`, {}],
        [`${path}?_token=`, {}],
        [`${path}?_token=${TOKEN}`, { authorization: 'Bearer guess' }],
      ];
      for (const [target, headers] of asked) {
        const response = await proxy.request(target, { ...options, headers });
        expect(expectJson(response, 401)).toEqual({ error: UNAUTHORIZED });
        expect(response.headers['www-authenticate']).toBe('Bearer realm="keys"');
      }
      expect(await counted('unauthorized')).toBe(before + asked.length);
      expect(await redis.calls('get')).toBe(0);
    });
  });

  it('shares the cache with the other protocols, and counts its reads separately', async () => {
    await redis.client.set('counted', 'value');
    const outcomes = ['hit', 'miss', 'collapsed', 'not-found', 'not-allowed', 'bad-key'];
    const before = await Promise.all(outcomes.map(counted));
    await pipeline(['GET', 'counted'], ['GET', 'counted'], ['GET', 'none'], ['GET', 'secret']);
    await run('GET', 'counted');
    await post('/', ['GET', 'x'.repeat(70_000)]);
    const after = await Promise.all(outcomes.map(counted));
    expect(after.map((count, i) => count - before[i])).toEqual([1, 1, 1, 1, 1, 1]);
    await pipeline(['TTL', 'counted'], ['PTTL', 'counted'], ['TTL', 'none']);
    const asked = await Promise.all(outcomes.map(counted));
    expect(asked.map((count, i) => count - after[i])).toEqual([0, 2, 0, 1, 0, 0]);
    expect((await proxy.key('counted', READER)).headers['cache-status']).toMatch(/; hit/);
  });

  it('lets pages of HTTP_CORS_ORIGINS send the headers of the Upstash client', async () => {
    const origin = { origin: 'https://page.example' };
    for (const path of ['/', '/pipeline', '/get/key']) {
      const { status, headers } = await proxy.request(path, { method: 'OPTIONS', headers: origin });
      expect([status, headers['access-control-allow-origin']]).toEqual([204, origin.origin]);
      const allowed = String(headers['access-control-allow-headers']).toLowerCase();
      for (const name of ['authorization', 'content-type', 'upstash-encoding', 'upstash-telemetry-sdk']) {
        expect(allowed).toContain(name);
      }
    }
    const { headers } = await post('/', ['PING'], { ...READER, ...origin });
    expect(headers['access-control-allow-origin']).toBe(origin.origin);
  });

  it('serves requests before and after fast-path requests on one connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 3; i++) {
      expect((await proxy.request('/v1/keys/key', { headers: READER, agent })).text).toBe('value');
      const response = await proxy.request('/', { method: 'POST', headers: READER, agent, body: '["GET","key"]' });
      expect(response.json).toEqual({ result: 'value' });
    }
    agent.destroy();
  });

  it('returns 503 or 504 for failures of Redis', async () => {
    redis.server?.signal('SIGSTOP');
    await proxy.key('key', READER);
    const timeout = post('/', ['GET', 'cold']);
    const other = post('/pipeline', [['TTL', 'key'], ['GET', 'key'], ['PING']]);
    await until(
      'both permits to be in use',
      async () => (await proxy.get('/metrics')).text.includes('loads_in_flight 2') || undefined,
    );
    const full = await post('/', ['GET', 'another']);
    expect([full.status, full.headers['retry-after']]).toEqual([503, '1']);
    expect(full.json.error).toMatch(/^OVERLOADED /);
    expect([(await timeout).status, (await timeout).json.error]).toEqual([504, expect.stringMatching(/^TIMEOUT /)]);
    expect((await other).json).toEqual([
      { error: expect.stringMatching(/^TIMEOUT /) },
      { result: 'value' },
      { result: 'PONG' },
    ]);
    redis.server?.signal('SIGCONT');
  });

  it('never writes a token to the log', () => {
    expect(proxy.child?.output).toContain('"message":"starting"');
    expect(proxy.child?.output).not.toContain(TOKEN);
    expect(proxy.child?.output).not.toContain(encodeURIComponent(TOKEN));
    expect(proxy.child?.output).not.toContain('_token');
  });
});

describeOwn("Upstash's REST API, as every other way to read,", () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await TestRedis.start();
    await server.client.mset('key', 'value', 'cold', 'c');
  });
  afterAll(() => server?.stop());

  const start = (settings: Record<string, string> = {}) =>
    TestProxy.start({ REDIS_URL: server.url, PROXY_THREADS: 1, ACCESS_TOKEN: TOKEN, ...settings });

  it('is serialised in sequential mode', async () => {
    const sequential = await start({ PROXY_MODE: 'sequential' });
    try {
      const options = { method: 'POST', headers: READER, body: '[["GET","key"],["GET","cold"]]' };
      const responses = await Promise.all(Array.from({ length: 20 }, () => sequential.request('/pipeline', options)));
      for (const { json } of responses) expect(json).toEqual([{ result: 'value' }, { result: 'c' }]);
    } finally {
      await sequential.stop();
    }
  });

  it('completes requests in flight on shutdown', async () => {
    const ending = await start({ REDIS_COMMAND_TIMEOUT_MS: '20000' });
    server.server?.signal('SIGSTOP');
    try {
      const response = ending.request('/', { method: 'POST', headers: READER, body: '["GET","cold"]' });
      await until(
        'a load in flight',
        async () => (await ending.get('/metrics')).text.includes('loads_in_flight 1') || undefined,
      );
      await drainResponse(ending);
      server.server?.signal('SIGCONT');
      const { status, json, headers } = await response;
      expect([status, json, headers.connection]).toEqual([200, { result: 'c' }, 'close']);
      expect(await ending.child?.exit).toBe(0);
    } finally {
      server.server?.signal('SIGCONT');
      await ending.stop();
    }
  });

  it('rejects other methods and preflight requests if no origin is allowed', async () => {
    const closed = await start();
    try {
      const response = await closed.request('/', { method: 'OPTIONS', headers: { origin: 'https://page.example' } });
      expect([response.status, response.headers.allow]).toEqual([405, 'POST']);
      expect(Object.keys(response.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
    } finally {
      await closed.stop();
    }
  });
});

describeOwn("Upstash's REST API is off", () => {
  it.each<[string, Record<string, string>]>([
    ['without ACCESS_TOKEN', {}],
    ['with UPSTASH_REST_API=off', { ACCESS_TOKEN: TOKEN, UPSTASH_REST_API: 'off' }],
  ])('%s', async (_, settings) => {
    const server = await TestRedis.start();
    const off = await TestProxy.start({ REDIS_URL: server.url, PROXY_THREADS: 1, ...settings });
    try {
      for (const [method, path] of [
        ['POST', '/'],
        ['POST', '/pipeline'],
        ['POST', '/multi-exec'],
        ['GET', '/get/key'],
        ['OPTIONS', '/'],
      ]) {
        const response = await off.request(path, { method, headers: READER });
        // The dashboard is served instead, for reading only.
        const refusal = path === '/' ? [405, 'method-not-allowed'] : [404, 'route-not-found'];
        expect([path, response.status, response.json.code]).toEqual([path, ...refusal]);
      }
      expect(Object.keys((await off.get('/openapi.json')).json.paths as object)).not.toContain('/pipeline');
    } finally {
      await off.stop();
      await server.stop();
    }
  });

  it('and UPSTASH_REST_API=on without ACCESS_TOKEN fails at start-up', async () => {
    const child = launch({ UPSTASH_REST_API: 'on' });
    expect(await child.exit).toBe(1);
    expect(child.errors).toContain('UPSTASH_REST_API: "on" requires ACCESS_TOKEN');
  });
});
