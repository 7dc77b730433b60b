import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ask } from './support/http-client.ts';
import { describeOwn } from './support/only-own.ts';
import { freePort, until } from './support/processes.ts';
import { type Settings, TestProxy, launch } from './support/proxy.ts';
import { TestRedis } from './support/redis.ts';
import { refusal } from './support/refusal.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'configuration-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a file; its path. */
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describeOwn('settings', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
  });
  afterAll(() => redis.stop());

  async function withProxy(settings: Settings, use: (proxy: TestProxy) => Promise<void>, cwd = folder): Promise<void> {
    const proxy = await TestProxy.start({ REDIS_URL: redis.url, PROXY_THREADS: 1, ...settings }, cwd);
    try {
      await use(proxy);
    } finally {
      expect(await proxy.stop()).toBe(0);
    }
  }

  it('come from the environment before .env, and from .env before the default; an empty one is none', async () => {
    const cwd = mkdtempSync(join(folder, 'dotenv-'));
    writeFileSync(join(cwd, '.env'), '# a comment\nCACHE_CAPACITY=5\nCACHE_TTL_MS="7000"\nADMIN_TOKEN=from-file\n');
    await withProxy(
      { CACHE_CAPACITY: 3, CACHE_MAX_BYTES: '', CACHE_TTL_MS: '' },
      async (proxy) => {
        const stats = await proxy.get('/v1/cache', { authorization: 'Bearer from-file' });
        expect(stats.json).toMatchObject({ capacity: 3, maxBytes: 268_435_456 });
        expect((await proxy.key('key')).headers['cache-control']).toBe('max-age=7');
      },
      cwd,
    );
  });

  it('that are secret can come from files; the line end of an editor is no part of them', async () => {
    const secrets = {
      REDIS_URL: '',
      REDIS_URL_FILE: file('url', `${redis.url}\n`),
      ADMIN_TOKEN_FILE: file('admin', 'one,two\r\n'),
    };
    await withProxy(secrets, async (proxy) => {
      expect((await proxy.key('key')).text).toBe('value');
      expect((await proxy.get('/v1/cache', { authorization: 'Bearer two' })).status).toBe(200);
    });
  });

  it('are not confused by what Kubernetes and others put into the environment', async () => {
    const foreign = {
      REDIS_SERVICE_HOST: '10.0.0.1',
      REDIS_SERVICE_PORT: '6379',
      REDIS_SERVICE_PORT_REDIS: '6379',
      REDIS_PORT: 'tcp://10.0.0.1:6379',
      REDIS_PORT_6379_TCP: 'tcp://10.0.0.1:6379',
      REDIS_PORT_6379_TCP_PROTO: 'tcp',
      REDIS_PORT_6379_TCP_PORT: '6379',
      REDIS_PORT_6379_TCP_ADDR: '10.0.0.1',
      HTTP_PROXY: 'http://10.0.0.2',
      NODE_ENV: 'production',
      SOMETHING_ELSE: 'x',
    };
    await withProxy({ ...foreign, HTTP_CONTENT_TYPE: 'text/plain; charset=utf-8' }, async (proxy) => {
      const { text, headers } = await proxy.key('key');
      expect([text, headers['content-type']]).toEqual(['value', 'text/plain; charset=utf-8']);
    });
  });

  it('are in the log at the start, without their secrets, which are nowhere else either', async () => {
    const secrets = {
      REDIS_URL: redis.url.replace('//', '//hunter1:hunter2@'),
      REDIS_PASSWORD: 'hunter3',
      ADMIN_TOKEN: 'hunter4',
      LOG_LEVEL: 'trace',
    };
    const proxy = launch({ ...secrets, CACHE_CAPACITY: 1234, PROXY_THREADS: 1 }, folder);
    const url = await until('it listens', () => /listening on (http:[^"]+)"/.exec(proxy.output)?.[1]);
    await ask(url, '/v1/cache', { headers: { authorization: 'Bearer hunter4' } });
    await ask(url, '/v1/keys/key');
    await until('Redis has refused the password', () => /not reachable/.test(proxy.output) || undefined);
    await proxy.stop();
    expect(proxy.output).toContain('"capacity":1234');
    expect(`${proxy.output}${proxy.errors}`.replaceAll('"username":"hunter1"', '')).not.toMatch(/hunter\d/);
  });

  it.each([
    ['LOG_LEVEL=error keeps quiet when all is well', { LOG_LEVEL: 'error' }, /^$/],
    [
      'LOG_FORMAT=pretty writes lines for people',
      { LOG_FORMAT: 'pretty' },
      /^(?!\{).*listening on http:\/\/127\.0\.0\.1/m,
    ],
  ])('%s', async (_, settings, log) => {
    const port = await freePort();
    const proxy = launch({ REDIS_URL: redis.url, PROXY_THREADS: 1, HTTP_PORT: port, ...settings }, folder);
    await until('it serves', async () => {
      const answer = await ask(`http://127.0.0.1:${port}`, '/health/ready').catch(() => undefined);
      return answer?.status === 200 || undefined;
    });
    await until('it has said all', () => log.test(proxy.output) || undefined);
    expect(await proxy.stop()).toBe(0);
    expect(proxy.errors).toBe('');
  });

  it('name a port that another has, even one that could be shared: status 1, and the other goes on', async () => {
    await withProxy({}, async (proxy) => {
      const { port } = new URL(proxy.url);
      const { code, errors } = await refusal({ REDIS_URL: redis.url, HTTP_PORT: port }, folder);
      expect([code, errors]).toEqual([1, [expect.stringMatching(/^HTTP_HOST, HTTP_PORT: .*EADDRINUSE/)]]);
      expect((await proxy.key('key')).text).toBe('value');
    });
  });
});
