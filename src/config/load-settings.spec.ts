import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SettingsError, loadSettings } from './load-settings.ts';
import { describeSettings } from './environment/environment.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'settings-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const load = (environment: Record<string, string>, dotEnv = '') => loadSettings(environment, file('.env', dotEnv));

function problemsOf(environment: Record<string, string>, dotEnv = ''): readonly string[] {
  try {
    load(environment, dotEnv);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

/** The warnings about an environment in which the proxy starts. */
function warningsOf(environment: Record<string, string>): readonly string[] {
  const warnings: string[] = [];
  loadSettings(environment, '/nowhere', {}, ({ text }) => warnings.push(text));
  return warnings;
}

const STATEMENTS = 'expected NAME=value, a comment that starts with #, or an empty line';

describe('settings', () => {
  it('have the documented defaults', () => {
    const settings = loadSettings({}, join(directory, 'none'), {}, undefined, Infinity);
    expect(JSON.parse(JSON.stringify(settings))).toEqual({
      http: {
        host: '0.0.0.0',
        port: 8080,
        contentType: 'application/octet-stream',
        contentTypes: [],
        contentEncodings: [],
        compression: [],
        compressionMinBytes: 1024,
        corsOrigins: [],
        maxHeaderBytes: 212_992,
        headersTimeoutMs: 10_000,
        requestTimeoutMs: 30_000,
        keepAliveTimeoutMs: 65_000,
        requestCacheControl: 'honour',
        fastPath: 'on',
      },
      resp: { port: 6380, idleTimeoutMs: 3_600_000 },
      ops: { host: '0.0.0.0' },
      upstash: { on: false },
      redis: {
        mode: 'standalone',
        tls: false,
        host: '127.0.0.1',
        port: 6379,
        nodes: [],
        sentinel: { accountFiles: {} },
        readFrom: 'master',
        database: 0,
        accountFiles: {},
        tlsRejectUnauthorized: true,
        commandTimeoutMs: 1000,
        connectTimeoutMs: 2000,
        maxValueBytes: 67_108_864,
      },
      cache: {
        capacity: 10_000,
        maxBytes: 268_435_456,
        maxValueBytes: 1_048_576,
        ttlMs: 60_000,
        ttlJitter: 0,
        staleWhileRevalidateMs: 0,
        refreshAhead: 0,
        negativeTtlMs: 0,
        staleIfErrorMs: 0,
        respectKeyTtl: true,
        coherence: 'ttl',
        warmupFile: undefined,
        warmupWaitMs: 0,
        hotKeys: 'on',
      },
      proxy: {
        mode: 'parallel',
        threads: availableParallelism(),
        maxConnections: 10_000,
        backlog: 511,
        maxConcurrentLoads: 256,
        maxQueuedLoads: 10_000,
        queueTimeoutMs: 1000,
        maxBufferedBytes: 268_435_456,
      },
      access: { tokens: [], keyPatterns: '*' },
      admin: { tokens: [] },
      nodeInternals: 'auto',
      shutdownGraceMs: 10_000,
      log: { level: 'info', format: process.stdout.isTTY ? 'pretty' : 'json' },
    });
  });

  it('tell an empty RESP_PORT, which turns the Redis protocol off, from one that is not set', () => {
    expect(load({ RESP_PORT: '' }).resp.port).toBeUndefined();
    expect(load({ RESP_PORT: '0' }).resp.port).toBe(0);
    expect(load({}, 'RESP_PORT=').resp.port).toBeUndefined();
    expect(load({ RESP_PORT: '' }, 'RESP_PORT=7000').resp.port).toBeUndefined();
  });

  it('have an ops listener at the address of HTTP, or at one of its own, if they say its port', () => {
    expect(load({ OPS_PORT: '0', HTTP_HOST: '127.0.0.1' }).ops).toEqual({ port: 0, host: '127.0.0.1' });
    expect(load({ OPS_PORT: '9090', OPS_HOST: '127.0.0.2' }).ops).toEqual({ port: 9090, host: '127.0.0.2' });
    expect(load({ OPS_PORT: '' }).ops.port).toBeUndefined();
    expect(problemsOf({ OPS_HOST: '127.0.0.1' })).toEqual(['OPS_HOST: requires OPS_PORT']);
    expect(problemsOf({ OPS_PORT: '70000' })).toEqual([
      'OPS_PORT: invalid value "70000": expected an integer from 0 to 65535',
    ]);
  });

  it('accept IPv6 addresses to listen on with and without brackets', () => {
    for (const [given, host] of [
      ...['::', '::1', 'fe80::1%eth0', '127.0.0.1', 'localhost', 'pod-0.proxy.default.svc'].map((same) => [same, same]),
      ...['[::]', '[::1]', '[::ffff:10.0.0.1]'].map((bracketed) => [bracketed, bracketed.slice(1, -1)]),
    ]) {
      expect(load({ HTTP_HOST: given, OPS_PORT: '0' })).toMatchObject({ http: { host }, ops: { host } });
    }
    for (const given of ['[::1', '[localhost]', '::1]:80', 'a b', '10.0.0.1:80', 'http://localhost', '*']) {
      expect(problemsOf({ HTTP_HOST: given })).toEqual([
        `HTTP_HOST: invalid value ${JSON.stringify(given)}: expected an IP address or a host name`,
      ]);
    }
  });

  it("speak Upstash's REST API where there is an ACCESS_TOKEN, unless they say otherwise", () => {
    const on = (environment: Record<string, string>) => load(environment).upstash.on;
    const token = { ACCESS_TOKEN: 'reader' };
    expect([on({}), on(token), on({ ACCESS_TOKEN_FILE: file('reader', 'reader') })]).toEqual([false, true, true]);
    expect(on({ ...token, UPSTASH_REST_API: 'on' })).toBe(true);
    expect([on({ ...token, UPSTASH_REST_API: 'off' }), on({ UPSTASH_REST_API: 'off' })]).toEqual([false, false]);
    expect(problemsOf({ UPSTASH_REST_API: 'on' })).toEqual(['UPSTASH_REST_API: "on" requires ACCESS_TOKEN']);
  });

  it('are taken from the environment before the .env file; an empty value counts as unset', () => {
    const settings = load({ CACHE_CAPACITY: '3', CACHE_TTL_MS: '' }, 'CACHE_CAPACITY=5\nCACHE_TTL_MS=7\n');
    expect(settings.cache).toMatchObject({ capacity: 3, ttlMs: 7 });
  });

  it('come from the command line before all others, RESP_PORT empty from there too', () => {
    const environment = { CACHE_CAPACITY: '3', RESP_PORT: '7' };
    const settings = loadSettings(environment, file('.env', 'CACHE_TTL_MS=7\nLOG_LEVEL=warn'), {
      CACHE_CAPACITY: '4',
      CACHE_TTL_MS: '8',
      RESP_PORT: '',
    });
    expect(settings).toMatchObject({
      cache: { capacity: 4, ttlMs: 8 },
      resp: { port: undefined },
      log: { level: 'warn' },
    });
  });

  it('take a secret from the command line, in either form, in place of both forms elsewhere', () => {
    const path = file('from-flag', 'from-flag');
    const flags = { ACCESS_TOKEN_FILE: path, REDIS_URL: 'redis://from-flag' };
    const elsewhere = { ACCESS_TOKEN: 'from-environment', REDIS_URL_FILE: '/none' };
    for (const settings of [
      loadSettings(elsewhere, '/none', flags),
      loadSettings({}, file('.env', 'ACCESS_TOKEN=from-env-file\nREDIS_URL_FILE=/none'), flags),
    ]) {
      expect(settings.access.tokens.map((token) => token.reveal())).toEqual(['from-flag']);
      expect(settings.access.tokenFile).toBe(path);
      expect(settings.redis.host).toBe('from-flag');
    }
  });

  it('cannot be changed', () => {
    const settings = load({});
    expect(Object.isFrozen(settings) && Object.isFrozen(settings.cache)).toBe(true);
  });

  it('are refused one line each, with the name, what was wrong and what is accepted', () => {
    expect(problemsOf({ CACHE_CAPACITY: 'many', HTTP_PORT: '65536', CACHE_RESPECT_KEY_TTL: 'yes' })).toEqual([
      'HTTP_PORT: invalid value "65536": expected an integer from 0 to 65535',
      'CACHE_CAPACITY: invalid value "many": expected an integer from 0 to 50000000',
      'CACHE_RESPECT_KEY_TTL: invalid value "yes": expected true or false',
    ]);
  });

  it.each(['-1', '1.5', '1e3', ' 5', '0x10', '5k', 'NaN', '99999999999999999999'])(
    'take no %j for a capacity',
    (text) => {
      expect(problemsOf({ CACHE_CAPACITY: text })).toHaveLength(1);
    },
  );

  it('include a wait of readiness for the keys in a file only with that file', () => {
    expect(load({ CACHE_WARMUP_WAIT_MS: '5000', CACHE_WARMUP_FILE: '/keys' }).cache.warmupWaitMs).toBe(5000);
    expect(problemsOf({ CACHE_WARMUP_WAIT_MS: '5000' })).toEqual(['CACHE_WARMUP_WAIT_MS: requires CACHE_WARMUP_FILE']);
    expect(problemsOf({ CACHE_WARMUP_WAIT_MS: '0' })).toEqual([]);
  });

  it.each(['-0.1', '0.51', '1', '0.12345', '.5', '5%', '1e-1'])('take no %j for a jitter of TTLs', (text) => {
    expect(problemsOf({ CACHE_TTL_JITTER: text })).toEqual([
      `CACHE_TTL_JITTER: invalid value "${text}": expected a number from 0 to 0.5, such as 0.1`,
    ]);
  });

  it('take a fraction for a jitter of TTLs', () => {
    expect(load({ CACHE_TTL_JITTER: '0.25' }).cache.ttlJitter).toBe(0.25);
  });

  it('take media types by pattern, in order', () => {
    expect(
      load({ HTTP_CONTENT_TYPES: '*.html=text/html; charset=utf-8,a\\,b\\=c=image/png' }).http.contentTypes,
    ).toEqual([
      { pattern: '*.html', value: 'text/html; charset=utf-8' },
      { pattern: 'a\\,b\\=c', value: 'image/png' },
    ]);
  });

  it('take codings of stored values by pattern, and codings to compress with in order of preference', () => {
    const { http } = load({ HTTP_CONTENT_ENCODINGS: 'page:*=gzip,*=zstd', HTTP_COMPRESSION: 'br,gzip' });
    expect(http).toMatchObject({
      contentEncodings: [
        { pattern: 'page:*', value: 'gzip' },
        { pattern: '*', value: 'zstd' },
      ],
      compression: ['br', 'gzip'],
    });
  });

  it.each([
    'http://host',
    'redis://',
    'host:6379',
    'redis://host/x',
    'redis://host:99999',
    'redis://host?db=1',
    'redis://%zz@host',
    'valkey+unix:///tmp/redis.sock',
    'unix:/tmp/redis.sock',
    'unix://tmp/redis.sock',
    'unix:///',
    'unix:///tmp/redis.sock?db=',
    'unix:///tmp/redis.sock?db=1&password=hunter2',
    'unix:///tmp/redis.sock?password=hunter2',
    'unix:///tmp/redis.sock#1',
    'unix:///tmp/%zz',
    'unix:///tmp/%00',
    `unix:///${'long/'.repeat(22)}`,
  ])('take no %j for an address', (text) => {
    expect(problemsOf({ REDIS_URL: text })).toHaveLength(1);
  });

  it.each([
    ...Object.entries({ LOG_LEVEL: 'loud', LOG_FORMAT: 'xml', HTTP_CONTENT_TYPE: 'text' }),
    ...['a', 'a=deflate', 'a=gzip,', '*=identity', 'a=gzip,b=GZIP'].map(
      (rules) => ['HTTP_CONTENT_ENCODINGS', rules] as const,
    ),
    ...['on', 'gzip,gzip', 'gzip, br', 'deflate', 'off,gzip', ','].map(
      (codings) => ['HTTP_COMPRESSION', codings] as const,
    ),
    ['HTTP_COMPRESSION_MIN_BYTES', '0'] as const,
    ...['https://a/', 'a.com', 'https://A', '*,https://a', 'https://a,', 'null', 'ftp://a', 'https://a:443'].map(
      (origins) => ['HTTP_CORS_ORIGINS', origins] as const,
    ),
    ...['a', 'a=text', 'a=text/html,', '=text/html', 'a=text/html;x="y"', '[=text/html'].map(
      (rules) => ['HTTP_CONTENT_TYPES', rules] as const,
    ),
    ...Object.entries({ ADMIN_TOKEN: 'a,,b', ACCESS_TOKEN: 'a b', KEY_ALLOWLIST: 'user:*,[' }),
  ])('take no %s=%s', (name, value) => {
    expect(problemsOf({ [name]: value })).toHaveLength(1);
  });

  it('are refused, with the likely name, where the environment has one within two changes of theirs', () => {
    expect(problemsOf({ NODE_INTERNAL: 'off' })).toEqual([
      'NODE_INTERNAL: unknown setting; did you mean NODE_INTERNALS?',
    ]);
    expect(problemsOf({ CACHE_CAPACTIY: '3', REDIS_URI: 'x', UPSTASH_REST_APY: 'off', ADMIN_TOKENS: 'x' })).toEqual([
      'CACHE_CAPACTIY: unknown setting; did you mean CACHE_CAPACITY?',
      'REDIS_URI: unknown setting; did you mean REDIS_URL?',
      'UPSTASH_REST_APY: unknown setting; did you mean UPSTASH_REST_API?',
      'ADMIN_TOKENS: unknown setting; did you mean ADMIN_TOKEN?',
    ]);
  });

  it('are refused where the environment has the name of any of them with one letter more', () => {
    for (const { name } of describeSettings()) {
      expect(problemsOf({ [`${name}X`]: '1' })).toEqual([`${name}X: unknown setting; did you mean ${name}?`]);
    }
  });

  it.each([
    ['REDIS_TLS_URL', 'rediss://h', ''],
    ['REDIS_HOST', '10.0.0.1', ''],
    ['REDIS_PORT', '6379', ''],
    ['REDIS_PASS', 'x', '; did you mean REDIS_PASSWORD?'],
    ['CACHE_DIRECTORY', '/var/cache', ''],
    ['CACHE_DRIVER', 'redis', ''],
    ['CACHE_TTL', '60', '; did you mean CACHE_TTL_MS?'],
    ['LOG_DIR', '/var/log', ''],
    ['ADMIN_EMAIL', 'a@example.com', ''],
    ['ACCESS_LOG', 'on', ''],
    ['KEY_FILE', '/x', ''],
    ['HTTP_HOST_FILE', '/x', '; did you mean HTTP_HOST?'],
  ])('start beside %s, of another program, with one warning that names it', (name, value, advice) => {
    expect(warningsOf({ [name]: value, CACHE_CAPACITY: '3' })).toEqual([`${name}: unknown setting, ignored${advice}`]);
  });

  it('start beside what Kubernetes and others put into the environment, without a warning', () => {
    const foreign = {
      REDIS_SERVICE_HOST: '10.0.0.1',
      REDIS_SERVICE_PORT: '6379',
      REDIS_SERVICE_PORT_TCP: '6379',
      REDIS_PORT: 'tcp://10.0.0.1:6379',
      REDIS_PORT_6379_TCP: 'tcp://10.0.0.1:6379',
      REDIS_PORT_6379_TCP_ADDR: '10.0.0.1',
      PROXY_SERVICE_HOST: '10.0.0.2',
      PROXY_PORT: 'tcp://10.0.0.2:8080',
      PROXY_PORT_8080_TCP: 'tcp://10.0.0.2:8080',
      PROXY_PORT_8080_TCP_PROTO: 'tcp',
      HTTP_PROXY: 'http://proxy',
      UPSTASH_REDIS_REST_URL: 'http://localhost:8080',
      UPSTASH_REDIS_REST_TOKEN: 'reader',
      UPSTASH_DISABLE_TELEMETRY: '1',
      CACHE_CAPACTIY: '',
      NODE_ENV: 'production',
      NODE_OPTIONS: '--enable-source-maps',
      PATH: '/bin',
    };
    expect(warningsOf(foreign)).toEqual([]);
  });

  it('have their defaults where a Service of Kubernetes has the name of a port, with a warning', () => {
    const links = { HTTP_PORT: 'tcp://10.0.0.1:80', RESP_PORT: 'tcp://10.0.0.2:6380' };
    const warnings: string[] = [];
    const settings = loadSettings(links, file('.env', 'RESP_PORT=7000'), {}, ({ text }) => warnings.push(text));
    expect([settings.http.port, settings.resp.port]).toEqual([8080, 7000]);
    expect(warnings).toEqual(
      Object.entries(links).map(
        ([name, value]) =>
          `${name}: ${value} is a Kubernetes service link, ignored (enableServiceLinks: false omits it)`,
      ),
    );
  });

  it.each([
    ['CACHE_CAPACTIY=3', 'CACHE_CAPACTIY: unknown setting; did you mean CACHE_CAPACITY?'],
    ['REDIS_HOST=h', 'REDIS_HOST: unknown setting; see --help'],
    ['LOG_DIR=/x', 'LOG_DIR: unknown setting; see --help'],
    ['cache_capacity=3', 'cache_capacity: unknown setting; did you mean CACHE_CAPACITY?'],
    ['Access_Token=x', 'Access_Token: unknown setting; did you mean ACCESS_TOKEN?'],
    ['HTPP_PORT=1', 'HTPP_PORT: unknown setting; did you mean HTTP_PORT?'],
    ['CACHE_TTL_MS=4', 'CACHE_TTL_MS: already set to another value on line 1'],
    ['ACCESS_TOKEN: x', `ACCESS_TOKEN is not followed by "="; ${STATEMENTS}`],
    ['declare -x ACCESS_TOKEN="x"', `declare is not followed by "="; ${STATEMENTS}`],
    ['set ACCESS_TOKEN=x', `set is not followed by "="; ${STATEMENTS}`],
    ['ENV ACCESS_TOKEN=x', `ENV is not followed by "="; ${STATEMENTS}`],
    [
      'APP="x\nACCESS_TOKEN=x\nOTHER="y"',
      'APP: text follows the closing "; expected the end of the line or a comment (use another kind of quotes outside)',
    ],
  ])('are refused where .env has the line %j, with its number', (line, problem) => {
    const settings = 'CACHE_TTL_MS=3\nCACHE_TTL_MS=3\nAPP_NAME=first\nAPP_NAME=a#b\napp-name: x\nhttp_proxy=p\n';
    expect(problemsOf({}, settings)).toEqual([]);
    expect(problemsOf({}, `${settings}${line}\n`)).toEqual([`${join(directory, '.env')}, line 7: ${problem}`]);
  });
});

describe('former names of settings', () => {
  const warningOf = (former: string, name: string) =>
    `${former}: deprecated name of ${name}, accepted until version 1.0.0`;

  it.each([
    ['HTTP_LANE', 'HTTP_FAST_PATH', 'off', { http: { fastPath: 'off' } }],
    ['CACHE_HONOUR_REDIS_TTL', 'CACHE_RESPECT_KEY_TTL', 'false', { cache: { respectKeyTtl: false } }],
    ['UPSTASH_DIALECT', 'UPSTASH_REST_API', 'off', { upstash: { on: false } }],
  ])('are accepted from each source, with one warning: %s', (former, name, value, expected) => {
    const environment = { ACCESS_TOKEN: 'reader' };
    const dotEnv = file('.env', `${former}=${value}`);
    for (const [variables, path, flags] of [
      [{ ...environment, [former]: value }, '/none', {}],
      [environment, dotEnv, {}],
      [environment, '/none', { [former]: value }],
      [{ ...environment, [former]: value }, dotEnv, { [former]: value }],
    ] as const) {
      const warnings: string[] = [];
      expect(loadSettings(variables, path, flags, ({ text }) => warnings.push(text))).toMatchObject(expected);
      expect(warnings).toEqual([warningOf(former, name)]);
    }
  });

  it('lose to the present name in the same source and to any name in a source that wins', () => {
    const both = { HTTP_LANE: 'off', HTTP_FAST_PATH: 'on' };
    expect(load(both).http.fastPath).toBe('on');
    expect(warningsOf(both)).toEqual([warningOf('HTTP_LANE', 'HTTP_FAST_PATH')]);
    expect(load({ HTTP_LANE: 'on' }, 'HTTP_FAST_PATH=off').http.fastPath).toBe('on');
    expect(loadSettings({ HTTP_FAST_PATH: 'off' }, '/none', { HTTP_LANE: 'on' }).http.fastPath).toBe('on');
  });

  it('count as unset when empty, without a warning', () => {
    expect(warningsOf({ HTTP_LANE: '' })).toEqual([]);
  });

  it('are named in the error about their value', () => {
    expect(problemsOf({ HTTP_LANE: 'maybe' })).toEqual([expect.stringMatching(/^HTTP_LANE: invalid value "maybe"/)]);
    expect(problemsOf({ HTTP_LANE: 'off', HTTP_FAST_PATH: 'maybe' })).toEqual([
      expect.stringMatching(/^HTTP_FAST_PATH: invalid value "maybe"/),
    ]);
  });
});

describe('secrets', () => {
  it('are shown by nothing that prints, serialises or inspects the settings', () => {
    const settings = load({ REDIS_URL: 'redis://u:hunter2@h', ADMIN_TOKEN: 'hunter3,hunter4' });
    const shown = `${JSON.stringify(settings)}${inspect(settings, { depth: 9, showHidden: true })}${String(settings.redis.password)}`;
    expect(shown).not.toMatch(/hunter/);
    expect(settings.redis.password?.reveal()).toBe('hunter2');
    expect(settings.admin.tokens.map((token) => token.reveal())).toEqual(['hunter3', 'hunter4']);
  });

  it('are not shown when they are wrong', () => {
    const problems = problemsOf({ ADMIN_TOKEN: 'hunter 2', REDIS_URL: 'hunter://2' });
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain('hunter');
  });

  it('can come from a file, without the newline at its end', () => {
    const settings = load({ ADMIN_TOKEN_FILE: file('token', 'hunter2\n') });
    expect(settings.admin.tokens[0].reveal()).toBe('hunter2');
  });

  it.each(['REDIS_PASSWORD', 'ACCESS_TOKEN', 'ADMIN_TOKEN'])(
    'cannot come from a file with nothing in it: %s',
    (name) => {
      for (const content of ['', '\n']) {
        expect(problemsOf({ [`${name}_FILE`]: file('empty', content) })).toEqual([
          `${name}_FILE: file is empty; expected a file that contains the secret`,
        ]);
      }
    },
  );

  it('cannot come from a file and a variable, nor from a file that is not there', () => {
    expect(problemsOf({ ADMIN_TOKEN: 'a', ADMIN_TOKEN_FILE: file('token', 'b') })).toEqual([
      'ADMIN_TOKEN_FILE: set together with ADMIN_TOKEN; expected only one of them',
    ]);
    expect(problemsOf({ REDIS_PASSWORD_FILE: join(directory, 'none') })).toEqual([
      'REDIS_PASSWORD_FILE: cannot be read (ENOENT); expected the path of a readable file',
    ]);
  });

  it('have a _FILE form, and the others have none', () => {
    const secret = describeSettings().filter((setting) => setting.secret);
    expect(secret.map(({ name }) => name)).toEqual([
      'REDIS_URL',
      'REDIS_SENTINEL_USERNAME',
      'REDIS_SENTINEL_PASSWORD',
      'REDIS_USERNAME',
      'REDIS_PASSWORD',
      'ACCESS_TOKEN',
      'ADMIN_TOKEN',
    ]);
    expect(problemsOf({}, 'HTTP_HOST_FILE=/x')).toHaveLength(1);
  });
});
