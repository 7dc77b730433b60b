import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { describeOwn } from '../support/only-own.ts';
import { Child, freePort, until } from '../support/processes.ts';
import { launch, type Settings, TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;

/** Processes started by a test, which are stopped after it. */
const started: { stop(): Promise<unknown> }[] = [];
let directory: string;
let files = 0;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'test-configuration-'));
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((one) => one.stop()));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function stopAfterwards<T extends { stop(): Promise<unknown> }>(one: T): T {
  started.push(one);
  return one;
}

const startRedis = async (...args: string[]) => stopAfterwards(await TestRedis.start(...args));
const startProxy = async (settings: Settings, cwd?: string) =>
  stopAfterwards(await TestProxy.start({ PROXY_THREADS: 1, ...settings }, cwd));

/** Creates a file with this text. */
function file(text: string): string {
  const path = join(directory, `file-${++files}`);
  writeFileSync(path, text);
  return path;
}

/** Creates a working directory with this `.env`. */
function directoryWith(dotEnv: string): string {
  const path = join(directory, `directory-${++files}`);
  mkdirSync(path);
  writeFileSync(join(path, '.env'), dotEnv);
  return path;
}

/** Starts a proxy that is expected to fail, and returns the lines of its error output. */
async function problems(settings: Settings, cwd?: string): Promise<string[]> {
  const child: Child = stopAfterwards(launch(settings, cwd, false));
  expect(await child.exit).toBe(1);
  expect(child.output).not.toContain('listening on');
  return child.errors.trimEnd().split('\n');
}

describeOwn('invalid setting: exit status 1 and an error line', () => {
  it('for each problem, with its name, its value and the expected values', async () => {
    expect(
      await problems({
        HTTP_PORT: 65536,
        CACHE_TTL_MS: -1,
        CACHE_RESPECT_KEY_TTL: 'yes',
        PROXY_MODE: 'fast',
        KEY_ALLOWLIST: 'user:*,[',
        ADMIN_TOKEN_FILE: '/none',
        REDIS_TLS_CA_FILE: '/none',
        CACHE_CAPACTIY: 3,
      }),
    ).toEqual([
      'CACHE_CAPACTIY: unknown setting; did you mean CACHE_CAPACITY?',
      'ADMIN_TOKEN_FILE: cannot be read (ENOENT); expected the path of a readable file',
      'HTTP_PORT: invalid value "65536": expected an integer from 0 to 65535',
      'CACHE_TTL_MS: invalid value "-1": expected an integer from 1 to 31622400000',
      'CACHE_RESPECT_KEY_TTL: invalid value "yes": expected true or false',
      'PROXY_MODE: invalid value "fast": expected one of parallel, sequential',
      'KEY_ALLOWLIST: invalid value "user:*,[": expected patterns separated by commas, of *, ?, [abc], [^abc], [a-z], and \\ before a literal character',
      'REDIS_TLS_CA_FILE: requires a REDIS_URL that starts with rediss:// or valkeys://',
      'REDIS_TLS_CA_FILE: cannot be read (ENOENT); expected the path of a readable PEM file',
    ]);
  });

  it('for a port in use, with HTTP_PORT', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const lines = await problems({ HTTP_PORT: port });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(new RegExp(`HTTP_PORT: .*EADDRINUSE.*${port}`));
    } finally {
      server.close();
    }
  });

  it('for a port in use by another proxy, although threads share ports', async () => {
    const proxy = await startProxy({});
    const lines = await problems({ HTTP_PORT: new URL(proxy.url).port });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/HTTP_PORT: .*EADDRINUSE/);
  });

  it.each([
    ['HTTP_PORT', 4],
    ['RESP_PORT', 2],
  ])(
    'that the port is in use, at all but one of several that start on one %s at the same moment: %i',
    async (name, count) => {
      const port = await freePort();
      const children = Array.from({ length: count }, () =>
        stopAfterwards(launch({ PROXY_THREADS: 1, RESP_PORT: '', [name]: port }, '/', false)),
      );
      const serves = (child: Child): boolean => child.output.includes('"message":"listening on http');
      const outcomes = await until(
        'one serves and the others have ended',
        () => (children.every((child) => serves(child) || !child.running) ? children.map(serves) : undefined),
        60_000,
      );
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      for (const child of children.filter(({ running }) => !running)) {
        expect(await child.exit).toBe(1);
        expect(child.errors).toMatch(new RegExp(`^HTTP_HOST, ${name}: .*EADDRINUSE.*:${port}\n$`));
      }
    },
  );

  it('for a cache that the machine has no memory for', async () => {
    // 16 GiB of address space, part of which Node.js needs itself.
    const limited = `ulimit -v ${16 * 2 ** 20} && exec "$0" "$1"`;
    const env = { PATH: process.env.PATH, HTTP_PORT: '0', RESP_PORT: '0', CACHE_MAX_BYTES: String(32 * 2 ** 30) };
    const child = stopAfterwards(new Child('sh', ['-c', limited, process.execPath, MAIN], { env, cwd: '/' }));
    expect(await child.exit).toBe(1);
    expect(child.errors).toMatch(/^CACHE_CAPACITY, CACHE_MAX_BYTES: \d+ bytes of shared memory cannot be reserved\n$/);
  });
});

describeOwn('secrets are never printed', () => {
  it('if they are invalid', async () => {
    const child = stopAfterwards(
      launch({ REDIS_URL: 'hunter://user:hunter2@host', ADMIN_TOKEN: 'hunter 2,', LOG_LEVEL: 'trace' }, '/', false),
    );
    expect(await child.exit).toBe(1);
    expect(child.errors).toMatch(/^REDIS_URL: invalid value \(not shown\)/m);
    expect(child.errors).toMatch(/^ADMIN_TOKEN: invalid value \(not shown\)/m);
    expect(child.output + child.errors).not.toContain('hunter');
  });

  it.each(['json', 'pretty'])('at the most verbose log level, in %s', async (format) => {
    const redis = await startRedis();
    await redis.client.config('SET', 'requirepass', 'hunter2');
    const child = stopAfterwards(
      launch(
        {
          REDIS_URL: `redis://:hunter2@127.0.0.1:${redis.port}/0`,
          ADMIN_TOKEN: 'hunter3,hunter4',
          LOG_LEVEL: 'trace',
          LOG_FORMAT: format,
          PROXY_THREADS: 1,
        },
        '/',
        false,
      ),
    );
    await until('it listens', () => (child.output.includes('listening on') ? true : undefined));
    await child.stop();
    expect(child.output).toContain('starting');
    expect(child.output + child.errors).not.toContain('hunter');
  });

  it('if Redis rejects them', async () => {
    const redis = await startRedis();
    const proxy = stopAfterwards(
      await TestProxy.start({
        REDIS_URL_FILE: file(`redis://nobody:hunter2@127.0.0.1:${redis.port}`),
        LOG_LEVEL: 'trace',
      }),
    );
    expect((await proxy.get('/health/ready')).status).toBe(503);
    expect(await proxy.key('key')).toMatchObject({ status: 503, json: { code: 'redis-unavailable' } });
    await proxy.stop();
    expect(`${proxy.child?.output}${proxy.child?.errors}`).not.toContain('hunter');
  });
});

describeOwn('sources of settings', () => {
  it('reads .env in the working directory; the environment takes precedence', async () => {
    // The byte-order mark must not hide the first setting.
    const lines = ['\uFEFFACCESS_TOKEN=reader', '# a comment', 'export CACHE_CAPACITY="77"', 'ADMIN_TOKEN=from-file'];
    const cwd = directoryWith([...lines, 'CACHE_MAX_BYTES=5000000', ''].join('\r\n'));
    const proxy = await startProxy({ ADMIN_TOKEN: 'from-environment', CACHE_MAX_BYTES: '' }, cwd);
    expect((await proxy.key('key')).status).toBe(401);
    expect(await proxy.stats()).toMatchObject({ capacity: 77, maxBytes: 5_000_000 });
    expect((await proxy.get('/v1/cache', { authorization: 'Bearer from-file' })).status).toBe(401);
  });

  it('validates .env like the environment', async () => {
    expect(await problems({}, directoryWith('CACHE_CAPACITY=-1\nCACHE_TTL=5\n'))).toEqual([
      '.env, line 2: CACHE_TTL: unknown setting; did you mean CACHE_TTL_MS?',
      'CACHE_CAPACITY: invalid value "-1": expected an integer from 0 to 50000000',
    ]);
  });

  it('ignores variables of Kubernetes Services, and those of other programs with our prefixes, with a warning for each', async () => {
    const names = ['REDIS_TLS_URL', 'CACHE_DIRECTORY', 'LOG_DIR', 'REDIS_HOST', 'ADMIN_EMAIL', 'CACHE_DRIVER'];
    // RESP_PORT has its default, on which another proxy may listen: the warnings precede that error.
    const child = stopAfterwards(
      launch({
        REDIS_SERVICE_HOST: '10.0.0.1',
        REDIS_SERVICE_PORT: 6379,
        REDIS_PORT: 'tcp://10.0.0.1:6379',
        REDIS_PORT_6379_TCP: 'tcp://10.0.0.1:6379',
        REDIS_PORT_6379_TCP_ADDR: '10.0.0.1',
        REDIS_PORT_6379_TCP_PROTO: 'tcp',
        PROXY_SERVICE_PORT_HTTP: 8080,
        RESP_PORT: 'tcp://10.0.0.2:80',
        ...Object.fromEntries(names.map((name) => [name, 'of another program'])),
      }),
    );
    await until(
      'it listens, or has ended',
      () => /listening on|EADDRINUSE/.test(child.output + child.errors) || undefined,
    );
    await child.stop();
    expect(child.errors).toMatch(/^(?:HTTP_HOST, RESP_PORT: .*EADDRINUSE.*:6380\n)?$/);
    const lines = child.output.trimEnd().split('\n');
    const warnings = lines
      .map((line) => JSON.parse(line) as Record<string, string>)
      .flatMap(({ context, level, message }) => (context === 'Settings' ? [`${level}: ${message}`] : []));
    expect(warnings.sort()).toEqual(
      [
        'warn: RESP_PORT: tcp://10.0.0.2:80 is a Kubernetes service link, ignored (enableServiceLinks: false omits it)',
        ...names.map((name) => `warn: ${name}: unknown setting, ignored`),
      ].sort(),
    );
  });

  it('rejects malformed lines of .env', async () => {
    const utf16 = directoryWith('');
    writeFileSync(join(utf16, '.env'), '\uFEFFACCESS_TOKEN=reader\r\n', 'utf16le');
    expect(await problems({}, utf16)).toEqual(['.env, line 1: is UTF-16, or not text; expected UTF-8']);
    expect(
      await problems({}, directoryWith('ACCESS_TOKEN: hunter2\naccess_token=hunter2\nADMIN_TOKEN=hunter#2')),
    ).toEqual([
      '.env, line 1: ACCESS_TOKEN is not followed by "="; expected NAME=value, a comment that starts with #, or an empty line',
      '.env, line 3: ADMIN_TOKEN: the value contains #, which starts a comment; expected quotes around the value, or a space before the comment',
      '.env, line 2: access_token: unknown setting; did you mean ACCESS_TOKEN?',
    ]);
  });

  it('reads secrets from ADMIN_TOKEN_FILE and REDIS_PASSWORD_FILE, without the final newline', async () => {
    const redis = await startRedis();
    await redis.client.set('key', 'value');
    await redis.client.config('SET', 'requirepass', 'right password');
    const proxy = await startProxy({
      REDIS_URL: redis.url,
      REDIS_PASSWORD_FILE: file('right password\n'),
      ADMIN_TOKEN_FILE: file('token\n'),
    });
    expect((await proxy.key('key')).text).toBe('value');
    expect((await proxy.get('/v1/cache', { authorization: 'Bearer token' })).status).toBe(200);
  });
});

describeOwn('warnings at start-up', () => {
  const warningsOf = (proxy: TestProxy) =>
    proxy.log().flatMap(({ level, context, message }) => (level === 'warn' && context === 'Settings' ? [message] : []));

  const itSmall = totalmem() < 60 * 2 ** 30 ? it : it.skip;
  itSmall('of settings that allow more memory than the limit, with the numbers', async () => {
    const [warning] = warningsOf(await startProxy({ PROXY_MAX_BUFFERED_BYTES: 64 * 2 ** 30 }));
    expect(warning).toMatch(
      /^the settings allow \d+ MiB of memory, more than the memory limit of \d+ MiB: process 200 \+ threads 150 \(PROXY_THREADS=1\) \+ .* \+ buffers 65536 \(PROXY_MAX_BUFFERED_BYTES=68719476736\)$/,
    );
  });

  const itLinux = process.platform === 'linux' ? it : it.skip;
  itLinux('of more connections than files may be open, and of nothing by default', async () => {
    const child = stopAfterwards(
      new Child('sh', ['-c', 'ulimit -n 500 && exec "$0" "$1"', process.execPath, MAIN], {
        env: { PATH: process.env.PATH, HTTP_PORT: '0', RESP_PORT: '', PROXY_THREADS: '1', LOG_FORMAT: 'json' },
        cwd: '/',
      }),
    );
    await until('it listens', () => (child.output.includes('listening on http') ? true : undefined));
    expect(child.output).toContain(
      "PROXY_MAX_CONNECTIONS=10000 and 75 files of the proxy's own exceed the limit of 500 open files (RLIMIT_NOFILE)",
    );
    expect(warningsOf(await startProxy({ PROXY_MAX_CONNECTIONS: 400 }))).toEqual([]);
  });

  it('of a password that Redis does not need, from ioredis, as a line of the log like all others', async () => {
    const { port } = await startRedis();
    const proxy = await startProxy({ REDIS_URL: `redis://:secret@127.0.0.1:${port}` });
    expect((await proxy.get('/health/ready')).status).toBe(200);
    const warning = {
      level: 'warn',
      context: 'Libraries',
      message: expect.stringMatching(/does not require a password, but a password was supplied$/),
    };
    await eventually(() => proxy.log(), expect.arrayContaining([expect.objectContaining(warning)]));
  });
});

describeOwn('CACHE_CAPACITY=0', () => {
  it('sends every read to Redis and caches nothing: values, empty values, missing keys', async () => {
    const redis = await startRedis();
    await redis.client.mset({ key: 'value', empty: '' });
    const settings = { CACHE_CAPACITY: 0, CACHE_NEGATIVE_TTL_MS: 60_000, CACHE_STALE_IF_ERROR_MS: 60_000 };
    const proxy = await startProxy({ REDIS_URL: redis.url, ADMIN_TOKEN: 'admin', ...settings });
    await redis.forgetCalls();
    for (let times = 0; times < 2; times++) {
      for (const [name, status, text] of [
        ['key', 200, 'value'],
        ['empty', 200, ''],
      ] as const) {
        const response = await proxy.key(name);
        expect([response.status, response.text]).toEqual([status, text]);
        expect(response.headers['cache-status']).toBe('redis-http-cache-proxy; fwd=uri-miss');
      }
      expect((await proxy.key('nobody')).status).toBe(404);
    }
    expect(await redis.calls('get')).toBe(6);
    expect(await proxy.stats()).toMatchObject({ capacity: 0, entries: 0, bytes: 0, hits: 0 });
  });
});

describeOwn('Redis', () => {
  it('is read in the database of REDIS_URL', async () => {
    const redis = await startRedis();
    await redis.client.set('key', 'in 0');
    await redis.client.select(5);
    await redis.client.set('key', 'in 5');
    const base = redis.url.replace(/\/0$/, '');
    const read = async (url: string): Promise<string> => (await (await startProxy({ REDIS_URL: url })).key('key')).text;
    expect(await Promise.all([base, `${base}/5`].map(read))).toEqual(['in 0', 'in 5']);
  });

  it('needs to permit only +get +pttl +ping on the keys', async () => {
    const redis = await startRedis();
    await redis.client.mset('open:key', 'value', 'closed:key', 'value');
    // Without +info the proxy cannot detect whether Redis is still loading its data, and logs this at start-up.
    await redis.client.acl('SETUSER', 'reader', 'on', '>hunter2', '~open:*', '+get', '+pttl', '+ping');
    const proxy = await startProxy({ REDIS_URL: `redis://reader:hunter2@127.0.0.1:${redis.port}/0` });
    expect((await proxy.key('open:key')).text).toBe('value');
    expect((await proxy.key('closed:key')).status).toBe(503);
    expect((await proxy.get('/health/ready')).status).toBe(200);
  });

  it('is authenticated to with REDIS_USERNAME and REDIS_PASSWORD, which take precedence over REDIS_URL', async () => {
    const redis = await startRedis();
    await redis.client.set('key', 'value');
    await redis.client.acl('SETUSER', 'reader', 'on', '>hunter2', '~*', '+@all');
    await redis.client.acl('SETUSER', 'default', 'off');
    const proxy = await startProxy({
      REDIS_URL: `redis://someone:else@127.0.0.1:${redis.port}/0`,
      REDIS_USERNAME: 'reader',
      REDIS_PASSWORD: 'hunter2',
    });
    expect((await proxy.key('key')).text).toBe('value');
  });
});
