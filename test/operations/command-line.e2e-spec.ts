import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { TestAuthority } from '../support/certificates.ts';
import { freePort, until } from '../support/processes.ts';
import { TestProxy, launch } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const COMMAND = new URL('../../dist/cli.js', import.meta.url).pathname;
const CHECK = new URL('../../deploy/container/healthcheck.mjs', import.meta.url).pathname;
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'test-command-line-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Returns the exit status, the output and the error lines of a proxy that exits by itself. */
async function outcomeOf(...args: string[]): Promise<{ status: number | null; output: string; errors: string[] }> {
  const child = launch({}, '/', false, args);
  const status = await child.exit;
  return { status, output: child.output, errors: child.errors.split('\n').slice(0, -1) };
}

describeOwn('flags', () => {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
  });
  afterAll(() => redis.stop());

  it('take precedence over the environment and .env; the proxy exits with 0 on SIGTERM', async () => {
    const token = join(directory, 'token');
    writeFileSync(token, 'from-flag\n');
    writeFileSync(join(directory, '.env'), 'CACHE_CAPACITY=5\nCACHE_TTL_MS=7000\nCACHE_MAX_BYTES=5000000\n');
    const proxy = await TestProxy.start(
      { REDIS_URL_FILE: '/none', CACHE_CAPACITY: 4, ADMIN_TOKEN: 'from-environment', PROXY_THREADS: 3 },
      directory,
      true,
      [
        ...['--cache-capacity', '3', '--cache-ttl-ms=6000', '--proxy-threads=2'],
        ...[`--redis-url=${redis.url}`, '--admin-token-file', token],
      ],
    );
    try {
      const admin = (name: string) => proxy.get('/v1/cache', { authorization: `Bearer ${name}` });
      expect((await admin('from-flag')).json).toMatchObject({ capacity: 3, maxBytes: 5_000_000 });
      expect((await admin('from-environment')).status).toBe(401);
      expect(await proxy.key('key')).toMatchObject({ text: 'value', headers: { 'cache-control': 'max-age=6' } });
      expect((await proxy.get('/metrics')).text).toContain('\nredis_http_cache_proxy_threads 2\n');
    } finally {
      expect(await proxy.stop()).toBe(0);
    }
  });

  it('with invalid values: exit status 1, and the error names the flag', async () => {
    expect(await outcomeOf('--cache-capacity=many', '--resp-port', '0', '--redis-url', 'localhost:6379')).toEqual({
      status: 1,
      output: '',
      errors: [
        '--redis-url: invalid value (not shown): expected redis://, rediss://, valkey:// or valkeys:// [user[:password]@]host[:port][/database], or unix://[user[:password]@]/path[?db=database]',
        '--cache-capacity: invalid value "many": expected an integer from 0 to 50000000',
      ],
    });
  });

  const itWithProc = existsSync('/proc/self/cmdline') ? it : it.skip;
  itWithProc('that name address and port are followed by the check of the container', async () => {
    const port = await freePort();
    const flags = ['--http-host=127.0.0.2', '--http-port', String(port)];
    const proxy = await TestProxy.start({ HTTP_PORT: 1, PROXY_THREADS: 1 }, '/', false, flags);
    const check = (pid: string) => spawnSync(process.execPath, [CHECK, pid], { env: { HTTP_PORT: '1' } }).status;
    try {
      // It gives the proxy two seconds.
      await until('the proxy is alive', () => check(String(proxy.child?.process.pid)) === 0 || undefined);
      expect(check('no-process')).toBe(1);
      // A variable of a Kubernetes Service, which is not a port and must not fail the start.
      const link = { HTTP_HOST: '127.0.0.1', HTTP_PORT: 'tcp://10.0.0.1:80' };
      expect(spawnSync(process.execPath, [CHECK, 'no-process'], { env: link }).stderr.toString()).toBe('');
    } finally {
      await proxy.stop();
    }
  });

  itWithProc('that name the ops port, or TLS, are followed by the check of the container as well', async () => {
    const { cert, key } = await (await TestAuthority.create()).issue(['localhost']);
    const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const tls = { HTTP_TLS_CERT_FILE: certFile, HTTP_TLS_KEY_FILE: keyFile };
    const [http, ops] = [String(await freePort()), String(await freePort())];
    for (const [settings, wrong] of [
      [{ HTTP_PORT: http, ...tls }, { HTTP_PORT: http }],
      [
        { HTTP_PORT: http, OPS_PORT: ops, OPS_HOST: '127.0.0.2', ...tls },
        { HTTP_PORT: http, ...tls },
      ],
    ]) {
      const child = launch({ ...settings, PROXY_THREADS: 1 }, '/', false);
      await child.printed('"message":"listening on');
      const check = (env: Record<string, string>) =>
        spawnSync(process.execPath, [CHECK, 'no-process'], { env: { HTTP_HOST: '127.0.0.1', ...env } }).status;
      await until('the proxy is alive', () => check(settings) === 0 || undefined);
      expect(check(wrong)).toBe(1);
      await child.stop();
    }
  });

  it('that exceed the machine are named in the error', async () => {
    const { port } = new URL(redis.url);
    const { status, errors } = await outcomeOf('--http-port', port);
    expect({ status, errors }).toEqual({
      status: 1,
      errors: [expect.stringMatching(/^HTTP_HOST, --http-port: .*EADDRINUSE/)],
    });
  });
});

describeOwn('invalid command line', () => {
  it('exits with status 2 and a line for each problem', async () => {
    expect(await outcomeOf('serve', '--cache-capacty', '3', '--access-token=hunter2', '--cache-ttl-ms')).toEqual({
      status: 2,
      output: '',
      errors: [
        'unexpected argument 1; see --help',
        '--cache-capacty: unknown flag; did you mean --cache-capacity?',
        '--access-token: secrets on the command line are visible to every local user; use --access-token-file or ACCESS_TOKEN',
        '--cache-ttl-ms: value missing; expected an integer from 1 to 31622400000',
      ],
    });
  });
});

describeOwn('information flags', () => {
  it.each(['--version', '-v'])('%s prints the version and exits with 0', async (word) => {
    expect(await outcomeOf(word)).toEqual({ status: 0, output: `${version}\n`, errors: [] });
  });

  it.each(['--help', '-h'])('%s prints all flags and exits with 0', async (word) => {
    const { status, output, errors } = await outcomeOf(word);
    expect({ status, errors }).toEqual({ status: 0, errors: [] });
    expect(output).toMatch(
      /^ {2}--cache-capacity +maximum number of cached keys, exact; 0: nothing is cached\n +accepts an integer .*; default: 10000$/m,
    );
  });

  const old = oldNode();
  const entries = [COMMAND, COMMAND.replace(/cli\.js$/, 'main.js')];
  (old === undefined ? it.skip : it).each(entries)(
    `that it needs a newer Node.js than ${old ?? 'one that is not here'}: %s`,
    (entry) => {
      const { status, stdout, stderr } = spawnSync(String(old), [entry, '--version'], { encoding: 'utf8' });
      expect(stderr).toMatch(/^Node\.js 24 or newer is needed, this is v\d+\.\d+\.\d+: see https:\/\/nodejs\.org\n$/);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    },
  );
});

/** Finds an unsupported Node.js on the path. */
function oldNode(): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'node'));
  return candidates.find((candidate) => {
    const { stdout } = spawnSync(candidate, ['--version'], { encoding: 'utf8' });
    return Number.parseInt(String(stdout).slice(1), 10) < 24;
  });
}
