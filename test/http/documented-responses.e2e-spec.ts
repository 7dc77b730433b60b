import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { brokenWrites } from '../support/broken-writes.ts';
import { type ApiDocument, type ApiResponse, type ObjectSchema, type Schema } from '../support/documentation.ts';
import type { TestResponse, TestRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

/** A request that causes each documented response, by method, route, status and code. */
type Scenario = readonly [kind: string, path: string, options?: TestRequest];

const TOKEN = { authorization: 'Bearer admin' };
const READER = { authorization: 'Bearer reader' };
const ANY = { 'if-none-match': '*' };

const mget = (body: string, type = 'application/json'): TestRequest => ({ body, headers: { 'content-type': type } });
const SOME = mget('{"keys":["text","nobody"]}');

const command = (body: unknown, headers: Readonly<Record<string, string>> = READER): TestRequest => ({
  body: JSON.stringify(body),
  headers,
});
const COLD = command(['GET', 'cold']);

/** A path that reads an existing value of each resource, and one that does not exist; all read keys that start with these. */
const RESOURCES = [
  ['/v1/hashes/{key}', '/v1/hashes/hash', '/v1/hashes/nobody'],
  ['/v1/hashes/{key}/{field}', '/v1/hashes/hash/field', '/v1/hashes/hash/nothing'],
  ['/v1/lists/{key}', '/v1/lists/list?start=0', '/v1/lists/nobody'],
  ['/v1/sets/{key}', '/v1/sets/set', '/v1/sets/nobody'],
  ['/v1/sets/{key}/{member}', '/v1/sets/set/member', '/v1/sets/set/nobody'],
  ['/v1/sorted-sets/{key}', '/v1/sorted-sets/sorted?withScores=true', '/v1/sorted-sets/nobody'],
  ['/v1/json/{key}', '/v1/json/json', '/v1/json/nobody'],
] as const;

const ofResources = (
  scenario: (route: string, existing: string, missing: string) => readonly Scenario[],
): readonly Scenario[] => RESOURCES.flatMap(([route, existing, missing]) => scenario(route, existing, missing));

/** Replaces the key in a path. */
const withKey = (path: string, key: string): string => path.replace(/(?<=\/v1\/[a-z-]+\/)\w+/, key);

const NOT_FOUND: Readonly<Record<string, string>> = {
  '/v1/hashes/{key}/{field}': 'field-not-found',
  '/v1/sets/{key}/{member}': 'member-not-found',
};

const RESOURCES_WITH_REDIS = ofResources((route, existing, missing) => [
  [`GET ${route} ${route.includes('{member}') ? 204 : 200}`, existing],
  [`GET ${route} 304`, existing, { headers: ANY }],
  ...(route.includes('{member}')
    ? []
    : ([
        [`GET ${route} 206`, existing, { headers: { range: 'bytes=0-1' } }],
        [`GET ${route} 416 range-not-satisfiable`, existing, { headers: { range: 'bytes=999-' } }],
      ] as const)),
  [`GET ${route} 400 bad-key`, withKey(existing, '')],
  [`GET ${route} 404 ${NOT_FOUND[route] ?? 'key-not-found'}`, missing],
  [`GET ${route} 409 wrong-type`, withKey(existing, route.includes('/lists') ? 'hash' : 'list')],
  ...(route.includes('{member}')
    ? []
    : ([[`GET ${route} 502 value-too-large`, withKey(existing, `long-${route.split('/')[2]}`)]] as const)),
  [`GET ${route} 504 not-cached`, withKey(existing, 'unread'), { headers: { 'cache-control': 'only-if-cached' } }],
]);

const RESOURCES_WITH_ACCESS = ofResources((route, existing) => [
  [`GET ${route} 401 unauthorized`, existing],
  [`GET ${route} 403 key-not-allowed`, existing, { headers: READER }],
]);

const RESOURCES_UNREACHABLE = ofResources((route, existing) => [
  [`GET ${route} 503 redis-unavailable`, withKey(existing, 'unread')],
]);

const WITHOUT_MODULE: readonly Scenario[] = [['GET /v1/json/{key} 501 unknown-command', '/v1/json/json']];

/** A request head of more than HTTP_MAX_HEADER_BYTES. */
const LONG_HEAD = { headers: { 'x-long': 'x'.repeat(300_000) } };

const WITH_REDIS: readonly Scenario[] = [
  ['POST /v1/mget 200', '/v1/mget', SOME],
  ['POST /v1/mget 400 bad-request', '/v1/mget', mget('[]')],
  ['POST /v1/mget 400 bad-key', '/v1/mget', mget('{"keys":[""]}')],
  ['POST /v1/mget 413 body-too-large', '/v1/mget', mget(JSON.stringify({ keys: Array(1001).fill('text') }))],
  ['POST /v1/mget 415 unsupported-media-type', '/v1/mget', mget('{"keys":[]}', 'text/plain')],
  ['GET /v1/keys/{key} 200', '/v1/keys/text'],
  ['GET /v1/keys/{key} 206', '/v1/keys/text', { headers: { range: 'bytes=0-1' } }],
  ['GET /v1/keys/{key} 416 range-not-satisfiable', '/v1/keys/text', { headers: { range: 'bytes=999-' } }],
  ['GET /v1/keys/{key} 304', '/v1/keys/text', { headers: ANY }],
  ['GET /v1/keys/{key} 400 bad-key', '/v1/keys/'],
  ['GET /v1/keys/{key} 404 key-not-found', '/v1/keys/nobody'],
  ['GET /v1/keys/{key} 409 wrong-type', '/v1/keys/list'],
  ['GET /v1/keys/{key} 502 value-too-large', '/v1/keys/long'],
  ['HEAD /v1/keys/{key} 502', '/v1/keys/long'],
  ['GET /v1/keys/{key} 504 not-cached', '/v1/keys/unread', { headers: { 'cache-control': 'only-if-cached' } }],
  ['HEAD /v1/keys/{key} 200', '/v1/keys/text'],
  ['HEAD /v1/keys/{key} 304', '/v1/keys/text', { headers: ANY }],
  ['HEAD /v1/keys/{key} 400', '/v1/keys/%zz'],
  ['HEAD /v1/keys/{key} 404', '/v1/keys/nobody'],
  ['HEAD /v1/keys/{key} 409', '/v1/keys/list'],
  ['GET /v1/cache 200', '/v1/cache', { headers: TOKEN }],
  ['GET /v1/cache 400 bad-request', '/v1/cache?x', { headers: TOKEN }],
  ['GET /v1/cache 401 unauthorized', '/v1/cache'],
  ['GET /v1/cache/hot-keys 200', '/v1/cache/hot-keys', { headers: TOKEN }],
  ['GET /v1/cache/hot-keys 400 bad-request', '/v1/cache/hot-keys?limit=0', { headers: TOKEN }],
  ['GET /v1/cache/hot-keys 401 unauthorized', '/v1/cache/hot-keys'],
  ['DELETE /v1/cache 200', '/v1/cache', { headers: TOKEN }],
  ['DELETE /v1/cache 200', '/v1/cache?prefix=user:', { headers: TOKEN }],
  ['DELETE /v1/cache 400 bad-request', '/v1/cache?prefix=', { headers: TOKEN }],
  ['DELETE /v1/cache 401 unauthorized', '/v1/cache'],
  ['DELETE /v1/cache/{key} 200', '/v1/cache/text', { headers: TOKEN }],
  ['DELETE /v1/cache/{key} 400 bad-key', '/v1/cache/%', { headers: TOKEN }],
  ['DELETE /v1/cache/{key} 400 bad-request', '/v1/cache/text?x', { headers: TOKEN }],
  ['DELETE /v1/cache/{key} 401 unauthorized', '/v1/cache/text'],
  ['GET /health/live 200', '/health/live'],
  ['GET /health/live 431 head-too-large', '/health/live', LONG_HEAD],
  ['GET /health/ready 200', '/health/ready'],
  ['GET /health/ready 431 head-too-large', '/health/ready', LONG_HEAD],
  ['GET /metrics 200', '/metrics'],
  ['GET /metrics 431 head-too-large', '/metrics', LONG_HEAD],
];

const WITHOUT_TOKEN: readonly Scenario[] = [
  ['GET /v1/cache 404 admin-disabled', '/v1/cache'],
  ['GET /v1/cache/hot-keys 404 admin-disabled', '/v1/cache/hot-keys'],
  ['DELETE /v1/cache 404 admin-disabled', '/v1/cache'],
  ['DELETE /v1/cache/{key} 404 admin-disabled', '/v1/cache/text'],
];

const WITH_ACCESS: readonly Scenario[] = [
  ['POST /v1/mget 401 unauthorized', '/v1/mget', SOME],
  ['GET /v1/keys/{key} 401 unauthorized', '/v1/keys/text'],
  ['GET /v1/keys/{key} 403 key-not-allowed', '/v1/keys/list', { headers: READER }],
  ['HEAD /v1/keys/{key} 401', '/v1/keys/text'],
  ['HEAD /v1/keys/{key} 403', '/v1/keys/list', { headers: READER }],
  ['GET /v1/keys/{key} 200', '/v1/keys/text', { headers: { ...READER, 'accept-encoding': 'gzip' } }],
  ['GET /v1/keys/{key} 304', '/v1/keys/text', { headers: { ...READER, ...ANY, 'accept-encoding': 'gzip' } }],
  ['GET /v1/keys/{key} 502 invalid-encoding', '/v1/keys/text', { headers: READER }],
  ['POST / 200', '/', command(['GET', 'text'])],
  ['POST / 400', '/', command(['SET', 'text', 'x'])],
  ['POST / 401', '/', command(['GET', 'text'], {})],
  ['POST / 413', '/', command(['MGET', ...Array<string>(1001).fill('text')])],
  ['POST /pipeline 200', '/pipeline', command([['GET', 'text']])],
  ['POST /pipeline 400', '/pipeline', command([])],
  ['POST /pipeline 401', '/pipeline', command([['PING']], {})],
  ['POST /pipeline 413', '/pipeline', command(Array(1001).fill(['PING']))],
  ['POST /multi-exec 200', '/multi-exec', command([['GET', 'text']])],
  ['POST /multi-exec 400', '/multi-exec', command([['SET', 'text', 'x']])],
  ['POST /multi-exec 401', '/multi-exec', command([['PING']], {})],
  ['POST /multi-exec 413', '/multi-exec', command(Array(1001).fill(['PING']))],
  ['GET /get/{key} 200', '/get/text', { headers: READER }],
  ['GET /get/{key} 400', '/get/list', { headers: READER }],
  ['GET /get/{key} 401', '/get/text'],
];

const SILENT_WITH_ACCESS: readonly Scenario[] = [
  ['POST / 504', '/', COLD],
  ['GET /get/{key} 504', '/get/cold', { headers: READER }],
];

const UNREACHABLE_WITH_ACCESS: readonly Scenario[] = [
  ['POST / 503', '/', COLD],
  ['GET /get/{key} 503', '/get/cold', { headers: READER }],
];

const REDIS_SILENT: readonly Scenario[] = [
  ['GET /v1/keys/{key} 504 redis-timeout', '/v1/keys/unread'],
  ['HEAD /v1/keys/{key} 504', '/v1/keys/unread'],
];

const OVERLOADED: readonly Scenario[] = [['GET /v1/keys/{key} 503 overloaded', '/v1/keys/another']];

const REDIS_UNREACHABLE: readonly Scenario[] = [
  ['GET /v1/keys/{key} 503 redis-unavailable', '/v1/keys/unread'],
  ['HEAD /v1/keys/{key} 503', '/v1/keys/unread'],
  ['GET /health/ready 503', '/health/ready'],
];

const WRITES_BROKEN: readonly Scenario[] = [['GET /health/live 503', '/health/live']];

const SETTINGS = {
  PROXY_THREADS: 1,
  REDIS_MAX_VALUE_BYTES: 1000,
  PROXY_MAX_CONCURRENT_LOADS: 1,
  PROXY_MAX_QUEUED_LOADS: 0,
};
const WITH_READERS = { ACCESS_TOKEN: 'reader', KEY_ALLOWLIST: 'text,cold', HTTP_CONTENT_ENCODINGS: 'text=gzip' };

/** Headers of every response, and headers that the description of the content implies. */
const UNDOCUMENTED = ['date', 'connection', 'keep-alive', 'content-type', 'content-length', 'x-content-type-options'];

describeOwn('every answer is the one that /openapi.json describes', () => {
  /** Has a command JSON.GET, which is another one. */
  let redis: TestRedis;
  let redisWithoutModule: TestRedis;
  let proxyWithoutModule: TestProxy;
  let proxy: TestProxy;
  let proxyWithoutToken: TestProxy;
  let proxyWithAccess: TestProxy;
  let brokenProxy: TestProxy;
  /** The proxies with a short REDIS_COMMAND_TIMEOUT_MS. */
  const impatient: TestProxy[] = [];
  let document: ApiDocument;
  /** A request that waits for Redis until Redis is stopped. */
  let first: Promise<TestResponse>;

  beforeAll(async () => {
    redis = await TestRedis.start('--rename-command', 'GETEX', 'JSON.GET');
    redisWithoutModule = await TestRedis.start();
    const settings = { ...SETTINGS, REDIS_URL: redis.url };
    [proxy, proxyWithoutToken, proxyWithAccess, brokenProxy] = await Promise.all([
      TestProxy.start({ ...settings, ADMIN_TOKEN: 'admin' }),
      // Long enough for another request while one read is in flight.
      TestProxy.start({ ...settings, REDIS_COMMAND_TIMEOUT_MS: 60_000 }),
      TestProxy.start({ ...settings, ...WITH_READERS }),
      TestProxy.start({ ...settings, ...brokenWrites('throw'), HTTP_FAST_PATH: 'on' }),
    ]);
    proxyWithoutModule = await TestProxy.start({ ...settings, REDIS_URL: redisWithoutModule.url });
    // Upstash's REST API is described only if it is enabled.
    document = (await proxyWithAccess.get('/openapi.json')).json as unknown as ApiDocument;
    await redis.client.mset('text', 'a text', 'long', 'x'.repeat(1001));
    await redis.client.rpush('list', 'a');
    await redis.client.hset('hash', { field: 'a value' });
    await redis.client.sadd('set', 'member');
    await redis.client.zadd('sorted', 1, 'member');
    await redis.client.set('json', '{"name":"Ada"}');
    const long = 'x'.repeat(1001);
    await redis.client.hset('long-hashes', { field: long });
    await redis.client.rpush('long-lists', long);
    await redis.client.sadd('long-sets', long);
    await redis.client.zadd('long-sorted-sets', 1, long);
    await redis.client.set('long-json', long);
  });
  afterAll(async () => {
    await Promise.all([proxy?.stop(), proxyWithoutToken?.stop(), proxyWithAccess?.stop(), brokenProxy?.stop()]);
    await Promise.all([proxyWithoutModule, ...impatient].map((each) => each?.stop()));
    await redisWithoutModule?.stop();
    await redis?.stop();
  });

  const send = ([kind, path, options]: Scenario, to: TestProxy): Promise<TestResponse> =>
    to.request(path, { method: kind.split(' ')[0], ...options });

  function itIsDocumented(
    scenario: Scenario,
    responseTo: (scenario: Scenario) => TestResponse | Promise<TestResponse> = (each) => send(each, proxy),
  ): void {
    const [kind] = scenario;
    it(kind, async () => {
      const [method, route, status, code] = kind.split(' ');
      const response = await responseTo(scenario);
      expect(response.status).toBe(Number(status));
      const description = document.paths[route][method.toLowerCase()].responses[status];
      expectDescribed(response, description, method, code);
    });
  }

  function expectDescribed(response: TestResponse, description: ApiResponse, method: string, code?: string): void {
    const documented = Object.entries(description.headers ?? {})
      .map(([name, { required }]) => ({ name: name.toLowerCase(), required }))
      .filter(({ name, required }) => required === true || response.headers[name] !== undefined)
      .map(({ name }) => name);
    const sent = Object.keys(response.headers).filter((name) => !UNDOCUMENTED.includes(name));
    expect(documented.filter((name) => !UNDOCUMENTED.includes(name)).sort()).toEqual(sent.sort());
    expect(documented.filter((name) => response.headers[name] === undefined)).toEqual([]);
    if (method === 'HEAD' || response.status === 304 || response.status === 204) {
      expect(description.content).toBeUndefined();
      expect(response.body).toHaveLength(0);
      return;
    }
    const [mediaType] = String(response.headers['content-type']).split(';');
    const content = description.content?.[mediaType];
    expect([mediaType]).toEqual(Object.keys(description.content ?? {}));
    if (mediaType.endsWith('json') && response.status !== 206) expectShape(response.json, content?.schema ?? {});
    if (code === undefined) return;
    expect(response.json.code).toBe(code);
    expect(Object.keys(content?.examples ?? {})).toContain(code);
  }

  function schemaOf(schema: Schema): ObjectSchema {
    return '$ref' in schema ? schemaOf(document.components.schemas[schema.$ref.split('/').at(-1) ?? '']) : schema;
  }

  function expectShape(body: object, schema: Schema): void {
    const { required = [], properties, items, oneOf } = schemaOf(schema);
    if (oneOf !== undefined) {
      const [first] = Array.isArray(body) ? (body as object[]) : [body];
      const isMeant = (each: Schema): boolean => (schemaOf(each).required ?? []).every((name) => name in first);
      expectShape(body, oneOf.find(isMeant) ?? oneOf[0]);
      return;
    }
    if (Array.isArray(body)) {
      expectShape((body as object[])[0], items ?? {});
      return;
    }
    // A string, or an object with any members.
    if (properties === undefined) return;
    expect(Object.keys(properties)).toEqual(expect.arrayContaining(Object.keys(body)));
    expect(Object.keys(body)).toEqual(expect.arrayContaining([...required]));
  }

  describe('while Redis responds', () => {
    for (const scenario of [...WITH_REDIS, ...RESOURCES_WITH_REDIS]) itIsDocumented(scenario);
    for (const scenario of WITHOUT_MODULE) itIsDocumented(scenario, (each) => send(each, proxyWithoutModule));
    for (const scenario of WITHOUT_TOKEN) itIsDocumented(scenario, (each) => send(each, proxyWithoutToken));
    for (const scenario of [...WITH_ACCESS, ...RESOURCES_WITH_ACCESS])
      itIsDocumented(scenario, (each) => send(each, proxyWithAccess));
  });

  describe('while Redis does not respond', () => {
    const responses = new Map<Scenario, TestResponse>();
    beforeAll(async () => {
      const settings = { ...SETTINGS, REDIS_URL: redis.url, REDIS_COMMAND_TIMEOUT_MS: 300 };
      const [open, withAccess] = await Promise.all([
        TestProxy.start(settings),
        TestProxy.start({ ...settings, ...WITH_READERS }),
      ]);
      impatient.push(open, withAccess);
      redis.server?.signal('SIGSTOP');
      // All at once, because two seconds of silence end the connections.
      const sent = [
        ...REDIS_SILENT.map((scenario) => [scenario, send(scenario, open)] as const),
        ...SILENT_WITH_ACCESS.map((scenario) => [scenario, send(scenario, withAccess)] as const),
      ];
      for (const [scenario, response] of sent) responses.set(scenario, await response);
    });
    for (const scenario of [...REDIS_SILENT, ...SILENT_WITH_ACCESS]) {
      itIsDocumented(scenario, (each) => responses.get(each) as TestResponse);
    }

    describe('and no further read is admitted', () => {
      beforeAll(async () => {
        first = proxyWithoutToken.get('/v1/keys/first');
        await until(
          'a read of Redis is in flight',
          async () =>
            (await proxyWithoutToken.get('/metrics')).text.includes('redis_http_cache_proxy_loads_in_flight 1') ||
            undefined,
        );
      });
      for (const scenario of OVERLOADED) itIsDocumented(scenario, (each) => send(each, proxyWithoutToken));
    });
  });

  describe('when Redis is disconnected', () => {
    beforeAll(async () => {
      await redis.server?.stop('SIGKILL');
      await first;
      await until(
        'disconnect noticed',
        async () =>
          ((await proxy.get('/v1/keys/noticed')).status === 503 &&
            (await proxyWithAccess.get('/v1/keys/cold', READER)).status === 503 &&
            // Its last result is reused for a second.
            (await proxy.get('/health/ready')).status === 503) ||
          undefined,
      );
    });
    for (const scenario of [...REDIS_UNREACHABLE, ...RESOURCES_UNREACHABLE]) itIsDocumented(scenario);
    for (const scenario of UNREACHABLE_WITH_ACCESS) itIsDocumented(scenario, (each) => send(each, proxyWithAccess));
  });

  describe('when responses cannot be written', () => {
    beforeAll(() =>
      until('it is noticed', async () => (await brokenProxy.get('/health/live')).status === 503 || undefined),
    );
    for (const scenario of WRITES_BROKEN) itIsDocumented(scenario, (each) => send(each, brokenProxy));
  });

  it('covers every documented response', () => {
    const all = [
      ...[WITH_REDIS, WITHOUT_TOKEN, WITH_ACCESS],
      ...[REDIS_SILENT, SILENT_WITH_ACCESS, OVERLOADED, REDIS_UNREACHABLE, UNREACHABLE_WITH_ACCESS],
      ...[RESOURCES_WITH_REDIS, WITHOUT_MODULE, RESOURCES_WITH_ACCESS, RESOURCES_UNREACHABLE],
      WRITES_BROKEN,
    ].flat();
    const seen = new Set(all.map(([kind]) => kind.split(' ').slice(0, 3).join(' ')));
    const described = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { responses }]) =>
        Object.keys(responses).map((status) => `${method.toUpperCase()} ${path} ${status}`),
      ),
    );
    expect(described.sort()).toEqual([...seen].sort());
  });
});
