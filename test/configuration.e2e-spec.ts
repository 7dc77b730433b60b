import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeOwn } from './support/only-own.ts';
import type { Settings } from './support/proxy.ts';
import { refusal } from './support/refusal.ts';

const whole = (min: number, max: number): string => `a whole number from ${min} to ${max}`;
const DAYS_366 = 31_622_400_000;
const HOUR = 3_600_000;

/** For each setting: a value that is none, and what is accepted instead. */
const BAD_VALUES: readonly (readonly [name: string, value: string, accepted: string])[] = [
  ['HTTP_HOST', 'a\nb', 'an address or a host name'],
  ['HTTP_PORT', '65536', whole(0, 65_535)],
  ['HTTP_CONTENT_TYPE', 'text', 'a media type'],
  ['HTTP_MAX_HEADER_BYTES', '1023', whole(1024, 1_048_576)],
  ['HTTP_HEADERS_TIMEOUT_MS', '0', whole(1, HOUR)],
  ['HTTP_REQUEST_TIMEOUT_MS', '1h', whole(1, HOUR)],
  ['HTTP_KEEP_ALIVE_TIMEOUT_MS', '-1', whole(0, HOUR)],
  ['REDIS_COMMAND_TIMEOUT_MS', '0', whole(1, 600_000)],
  ['REDIS_CONNECT_TIMEOUT_MS', 'never', whole(1, 600_000)],
  ['CACHE_CAPACITY', '0', whole(1, 50_000_000)],
  ['CACHE_MAX_BYTES', '256MB', whole(1, 64 * 2 ** 30)],
  ['CACHE_MAX_VALUE_BYTES', '1.5', whole(0, 512 * 2 ** 20)],
  ['CACHE_TTL_MS', '0', whole(1, DAYS_366)],
  ['CACHE_NEGATIVE_TTL_MS', '1e3', whole(0, DAYS_366)],
  ['CACHE_HONOUR_REDIS_TTL', 'yes', 'true or false'],
  ['PROXY_MODE', 'threads', 'one of parallel, sequential'],
  ['PROXY_THREADS', '129', whole(1, 128)],
  ['PROXY_MAX_CONNECTIONS', '0', whole(1, 1_000_000)],
  ['PROXY_BACKLOG', ' 5', whole(1, 65_535)],
  ['PROXY_MAX_CONCURRENT_LOADS', '0', whole(1, 65_536)],
  ['PROXY_MAX_QUEUED_LOADS', '0x10', whole(0, 1_000_000)],
  ['SHUTDOWN_GRACE_MS', 'Infinity', whole(0, 600_000)],
  ['LOG_LEVEL', 'loud', 'one of fatal, error, warn, info, debug, trace'],
  ['LOG_FORMAT', 'xml', 'one of json, pretty'],
];

/** The same for settings whose value is never shown. */
const BAD_SECRETS: typeof BAD_VALUES = [
  ['REDIS_URL', 'http://hunter2', 'redis:// or rediss:// [user[:password]@]host[:port][/database]'],
  ['REDIS_PASSWORD', 'hunter\n2', 'a password'],
  ['ADMIN_TOKEN', 'hunter 2', 'tokens of visible ASCII characters, separated by commas'],
];

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

/** What a proxy says that does not start. */
async function problems(settings: Settings, cwd = folder): Promise<readonly string[]> {
  const { code, errors, output } = await refusal(settings, cwd);
  expect([code, output]).toEqual([1, '']);
  return errors;
}

describeOwn('a proxy that is given bad settings ends with status 1 before it listens, and', () => {
  it('says in a line for each of them its name, what is wrong and what is accepted', async () => {
    expect(
      (
        await problems(
          Object.fromEntries<string>([...BAD_VALUES, ...BAD_SECRETS].map(([name, value]) => [name, value] as const)),
        )
      ).toSorted(),
    ).toEqual(
      [
        ...BAD_VALUES.map(
          ([name, value, accepted]) => `${name}: ${JSON.stringify(value)} is not accepted; accepted: ${accepted}`,
        ),
        ...BAD_SECRETS.map(
          ([name, , accepted]) => `${name}: the value (not shown) is not accepted; accepted: ${accepted}`,
        ),
      ].toSorted(),
    );
  });

  it('does so for a single one as well', async () => {
    expect(await problems({ CACHE_CAPACITY: 'many' })).toEqual([
      'CACHE_CAPACITY: "many" is not accepted; accepted: a whole number from 1 to 50000000',
    ]);
  });

  it('takes a name that begins like a setting and is none for a typo, in .env too', async () => {
    const cwd = mkdtempSync(join(folder, 'typo-'));
    writeFileSync(join(cwd, '.env'), 'CACHE_TTL=5\n');
    expect(await problems({ CACHE_CAPACTIY: 3, REDIS_SOMETHING_ELSE: 'x', HTTP_PORT_FILE: '/x' }, cwd)).toEqual(
      expect.arrayContaining([
        'CACHE_CAPACTIY: there is no such setting; did you mean CACHE_CAPACITY?',
        'CACHE_TTL: there is no such setting; did you mean CACHE_TTL_MS?',
        'REDIS_SOMETHING_ELSE: there is no such setting; accepted: the names in the README',
        expect.stringMatching(/^HTTP_PORT_FILE: there is no such setting/),
      ]),
    );
  });

  it('says what is wrong with the file of a secret, and with one that is given twice', async () => {
    const lines = await problems({
      REDIS_URL_FILE: join(folder, 'none'),
      REDIS_PASSWORD_FILE: folder,
      ADMIN_TOKEN: 'hunter2',
      ADMIN_TOKEN_FILE: file('token', 'hunter3'),
    });
    expect(lines).toEqual([
      'REDIS_URL_FILE: cannot be read (ENOENT); accepted: the path of a readable file',
      'REDIS_PASSWORD_FILE: cannot be read (EISDIR); accepted: the path of a readable file',
      'ADMIN_TOKEN_FILE: given together with ADMIN_TOKEN; accepted: one of the two',
    ]);
  });

  it('does not show the secret that a file holds', async () => {
    const [line] = await problems({ ADMIN_TOKEN_FILE: file('bad-token', 'hunter 2') });
    expect(line).toBe(
      'ADMIN_TOKEN: the value (not shown) is not accepted; accepted: tokens of visible ASCII characters, separated by commas',
    );
  });

  it.each([
    ['is not there', { REDIS_URL: 'rediss://h', REDIS_TLS_CA_FILE: '/none' }, 'cannot be read (ENOENT)'],
    ['is of no use', { REDIS_URL: 'redis://h', REDIS_TLS_CA_FILE: '/none' }, 'given without TLS'],
  ])('refuses a certificate authority that %s', async (_, settings, what) => {
    expect((await problems(settings))[0]).toContain(`REDIS_TLS_CA_FILE: ${what}`);
  });

  it('refuses a cache that is larger than can be had', async () => {
    const lines = await problems({ CACHE_CAPACITY: 50_000_000, CACHE_MAX_BYTES: 64 * 2 ** 30, LOG_LEVEL: 'fatal' });
    expect(lines).toEqual([expect.stringMatching(/^CACHE_CAPACITY, CACHE_MAX_BYTES: /)]);
  });

  it('refuses an address that is not this machine’s', async () => {
    const lines = await problems({ HTTP_HOST: '192.0.2.1', LOG_LEVEL: 'fatal' });
    expect(lines).toEqual([expect.stringMatching(/^HTTP_HOST, HTTP_PORT: .*EADDRNOTAVAIL/)]);
  });
});

describeOwn('the README', () => {
  it('lists the settings that are tested here, and no other', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
    const documented = [...readme.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name]) => name);
    const tested = [...BAD_VALUES, ...BAD_SECRETS].map(([name]) => name);
    // Any line of text is a user name; the authority's file has tests of its own.
    expect([...tested, 'REDIS_USERNAME', 'REDIS_TLS_CA_FILE'].sort()).toEqual(documented.sort());
  });
});
