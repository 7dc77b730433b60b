import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { exchange, sendRequest } from '../support/http-client.ts';
import { lintOpenApi } from '../support/openapi-lint.ts';
import { describeOwn } from '../support/only-own.ts';
import { freePort, until } from '../support/processes.ts';
import { TestProxy, launch } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const READER = { authorization: 'Bearer reader' };
const SETTINGS = { OPS_PORT: 0, ACCESS_TOKEN: 'reader', ADMIN_TOKEN: 'admin', KEY_ALLOWLIST: 'app:*' };
/** The maximum connections of the ops listener. */
const MAX_OPS_CONNECTIONS = 256;

let redis: TestRedis;
beforeAll(async () => {
  redis = await TestRedis.start();
  await redis.client.set('app:key', 'value');
  await redis.client.set('secret', 'value');
  await redis.client.hset('app:hash', 'field', 'value');
});
afterAll(() => redis?.stop());

function portOf(url: string): number {
  return Number(new URL(url).port);
}

async function isRefused(url: string): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port: portOf(url) });
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

describeOwn('OPS_PORT', () => {
  let proxy: TestProxy;
  beforeAll(async () => {
    proxy = await TestProxy.start({ ...SETTINGS, REDIS_URL: redis.url, PROXY_THREADS: 2 });
  });
  afterAll(() => proxy?.stop());

  const OPS_PATHS = ['/', '/dashboard/app.js', '/dashboard/events', '/docs', '/docs/', '/docs/swagger-ui.css'].concat([
    '/docs/swagger-ui-init.js',
    '/openapi.json',
    '/metrics',
    '/health/live',
    '/health/ready',
    '/v1/cache',
  ]);
  const HTTP_PATHS = ['/v1/keys/app:key', '/v1/hashes/app:hash', '/v1/mget', '/get/app:key', '/pipeline'];

  it.each(OPS_PATHS)('serves %s at its port, and at HTTP_PORT as any unknown path', async (path) => {
    const { status, headers, text } = await proxy.get(path, READER);
    const unknown = await proxy.get('/unknown', READER);
    // With Upstash's REST API `POST /` is a command.
    if (path === '/') expect([status, headers.allow]).toEqual([405, 'POST']);
    else expect([status, text]).toEqual([unknown.status, unknown.text]);
    expect(unknown.status).toBe(404);
    if (path === '/dashboard/events') return;
    const found = await proxy.ops(path, { headers: { authorization: 'Bearer admin' } });
    expect([200, 302]).toContain(found.status);
  });

  it.each(HTTP_PATHS)('does not serve %s at its port, with any method', async (path) => {
    const [, unknown] = await Promise.all([proxy.get(path, READER), proxy.ops('/unknown')]);
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
      const { status, text } = await proxy.ops(path, { method, headers: READER });
      expect([method, status, text]).toEqual([method, 404, unknown.text]);
    }
  });

  it('has an OpenAPI document whose reads have the server /lookup, relative to the document, and the others none', async () => {
    const document = (await proxy.ops('/openapi.json')).json as {
      paths: Record<string, { servers?: { url: string }[] }>;
    };
    expect(await lintOpenApi(document)).toEqual([]);
    for (const [path, { servers }] of Object.entries(document.paths)) {
      const isOps = /^\/(?:health|metrics|v1\/cache)/.test(path);
      expect([path, servers?.map(({ url }) => new URL(url, 'http://x/cache/openapi.json').href)]).toEqual([
        path,
        isOps ? undefined : ['http://x/cache/lookup'],
      ]);
    }
    const script = (await proxy.ops('/docs/swagger-ui-init.js')).text;
    const withServers = Object.values(document.paths).filter(({ servers }) => servers !== undefined);
    expect(script.split('"url":"./lookup"').length - 1).toBe(withServers.length);
  });

  it('lists each operation of the OpenAPI document at one of the two ports', async () => {
    const { paths } = (await proxy.ops('/openapi.json')).json as { paths: Record<string, Record<string, unknown>> };
    const owners = new Map<string, string>();
    for (const [template, operations] of Object.entries(paths)) {
      for (const method of Object.keys(operations)) {
        if (!['get', 'head', 'post', 'delete'].includes(method)) continue;
        const path = template.replaceAll(/\{\w+\}/g, 'x');
        const statuses = [
          await proxy.request(path, { method: method.toUpperCase() }),
          await proxy.ops(path, { method: method.toUpperCase() }),
        ].map(({ status }) => status !== 404 && status !== 405);
        const isOps = /^\/(?:health|metrics|v1\/cache)/.test(path);
        expect([method, template, ...statuses]).toEqual([method, template, !isOps, isOps]);
        owners.set(template, isOps ? 'ops' : 'http');
      }
    }
    expect(new Set(owners.values())).toEqual(new Set(['ops', 'http']));
  });

  it('serves reads below /lookup with the same responses, access token and allow-list as HTTP_PORT', async () => {
    for (const path of ['/v1/keys/app:key', '/v1/keys/app%3Akey', '/v1/keys/secret', '/v1/hashes/app:hash/field']) {
      for (const headers of [READER, {}]) {
        await proxy.get(path, headers);
        const [direct, lookup] = [await proxy.get(path, headers), await proxy.ops(`/lookup${path}`, { headers })];
        expect([lookup.status, lookup.text, lookup.headers.etag, lookup.headers['content-type']]).toEqual([
          direct.status,
          direct.text,
          direct.headers.etag,
          direct.headers['content-type'],
        ]);
      }
    }
    expect((await proxy.ops('/lookup/v1/keys/app:key', { headers: READER })).headers['cache-status']).toContain(
      '; hit;',
    );
    expect((await proxy.ops('/lookup/v1/keys/app:key')).status).toBe(401);
    expect((await proxy.get('/lookup/v1/keys/app:key', READER)).status).toBe(404);
    for (const path of ['/lookup', '/lookup/metrics', '/lookup/health/live', '/lookup/lookup/v1/keys/a']) {
      expect([path, (await proxy.ops(path, { headers: READER })).status]).toEqual([path, 404]);
    }
  });

  it('purges over the admin API at its port', async () => {
    await proxy.key('app:key', READER);
    expect((await proxy.admin('DELETE', '/v1/cache/app:key')).json).toEqual({ purged: true });
  });

  it('streams snapshots to the dashboard at its port', async () => {
    const isEvent = (received: string): boolean => /\r\n\r\n[^]*data: \{/.test(received);
    const request = 'GET /dashboard/events HTTP/1.1\r\nHost: x\r\n\r\n';
    expect(await exchange(proxy.opsUrl, request, isEvent)).toContain('text/event-stream');
  });
});

describeOwn('the ops listener', () => {
  let proxy: TestProxy;
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await proxy?.stop();
  });

  const start = async (settings: Record<string, string | number> = {}): Promise<TestProxy> =>
    (proxy = await TestProxy.start({ OPS_PORT: 0, REDIS_URL: redis.url, ...settings }));

  const occupy = async (url: string, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const socket = connect({ host: '127.0.0.1', port: portOf(url) }).on('error', () => undefined);
      sockets.push(socket);
      await once(socket, 'connect');
    }
  };

  const metric = async (name: string): Promise<number> =>
    Number(new RegExp(`^redis_http_cache_proxy_${name} (\\d+)$`, 'm').exec((await proxy.ops('/metrics')).text)?.[1]);

  it('serves probes and metrics while the clients of HTTP_PORT use all of PROXY_MAX_CONNECTIONS', async () => {
    await start({ PROXY_MAX_CONNECTIONS: 5, HTTP_HEADERS_TIMEOUT_MS: 600_000 });
    await occupy(proxy.url, 5);
    await until('the connections are counted', async () => ((await metric('connections')) === 5 ? true : undefined));
    expect((await proxy.get('/v1/keys/app:key')).status).toBe(503);
    for (const path of ['/metrics', '/health/live', '/health/ready']) {
      expect([path, (await proxy.ops(path)).status]).toEqual([path, 200]);
    }
  });

  it('limits its own connections, without effect on reads, and serves probes beyond the limit', async () => {
    await start({ HTTP_HEADERS_TIMEOUT_MS: 600_000 });
    await occupy(proxy.opsUrl, MAX_OPS_CONNECTIONS - 1);
    await until('the connections are counted', async () =>
      (await metric('ops_connections')) === MAX_OPS_CONNECTIONS ? true : undefined,
    );
    await occupy(proxy.opsUrl, 1);
    await until('the limit is reached', async () => ((await proxy.ops('/metrics')).status === 503 ? true : undefined));
    // A probe has a second for its request.
    await until('a probe is served', async () => (await proxy.ops('/health/live')).status === 200 || undefined);
    expect((await proxy.get('/v1/keys/app:key')).status).toBe(200);
  });

  it('accepts connections during a drain and reports it to readiness probes until the end', async () => {
    await start({ REDIS_COMMAND_TIMEOUT_MS: 60_000, SHUTDOWN_GRACE_MS: 60_000, PROXY_THREADS: 2 });
    redis.server?.signal('SIGSTOP');
    try {
      const inFlight = exchange(proxy.url, 'GET /v1/keys/cold HTTP/1.1\r\nHost: x\r\n\r\n');
      await until('the load', async () => ((await metric('loads_in_flight')) === 1 ? true : undefined));
      proxy.child?.signal('SIGTERM');
      await until('no thread accepts reads', async () => ((await isRefused(proxy.url)) ? true : undefined));
      // The thread without a request in flight exits, and with it the connections that it has not accepted yet.
      const probe = (path: string) => proxy.ops(path).catch(() => undefined);
      const { status, json, headers } = await until('readiness', () => probe('/health/ready'));
      expect([status, json.status, headers.connection]).toEqual([503, 'shutting-down', 'close']);
      expect((await until('liveness', () => probe('/health/live'))).status).toBe(200);
      expect((await until('metrics', () => probe('/metrics'))).status).toBe(200);
      redis.server?.signal('SIGCONT');
      expect(await inFlight).toMatch(/^HTTP\/1.1 404 /);
      expect(await proxy.child?.exit).toBe(0);
      await expect(proxy.ops('/health/ready')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    } finally {
      redis.server?.signal('SIGCONT');
    }
  });

  it('listens at OPS_HOST', async () => {
    await start({ OPS_HOST: '127.0.0.2' });
    expect(new URL(proxy.opsUrl).hostname).toBe('127.0.0.2');
    expect((await proxy.ops('/health/live')).status).toBe(200);
    await expect(sendRequest(`http://127.0.0.1:${portOf(proxy.opsUrl)}`, '/health/live')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    expect((await proxy.get('/v1/keys/app:key')).status).toBe(200);
  });

  it.each([
    ['HTTP_PORT', 'HTTP port'],
    ['RESP_PORT', 'port of the Redis protocol'],
  ])('does not start at the port of %s', async (name, what) => {
    const port = await freePort();
    const child = launch({ [name]: port, OPS_PORT: port });
    expect(await child.exit).toBe(1);
    expect(child.errors).toBe(`OPS_PORT: ${port} is the ${what}; expected another port\n`);
  });

  it('does not start at a port that is in use, and names the setting', async () => {
    await start();
    const port = portOf(proxy.opsUrl);
    const child = launch({ OPS_PORT: port });
    expect(await child.exit).toBe(1);
    expect(child.errors).toMatch(new RegExp(`^OPS_HOST, OPS_PORT: .*EADDRINUSE.*${port}\n$`));
  });
});
