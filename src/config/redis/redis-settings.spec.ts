import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Certificate, TestAuthority } from '../../../test/support/certificates.ts';
import { SettingsError, loadSettings } from '../load-settings.ts';
import { parseRedisNodes } from './redis-nodes.ts';

const load = (environment: Record<string, string>) => loadSettings(environment, '/nowhere').redis;

function problemsOf(environment: Record<string, string>): readonly string[] {
  try {
    load(environment);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  return [];
}

const sentinel = { REDIS_MODE: 'sentinel', REDIS_NODES: 's1:26379', REDIS_SENTINEL_NAME: 'main' };
const cluster = { REDIS_MODE: 'cluster', REDIS_NODES: 'n1:7000' };

describe('the addresses of nodes', () => {
  it('are names, IPv4 addresses and IPv6 addresses in brackets, each with its port', () => {
    expect(parseRedisNodes('redis-1.example:7000, 10.0.0.1:1,[::1]:65535,[2001:db8::a]:7002')).toEqual([
      { host: 'redis-1.example', port: 7000 },
      { host: '10.0.0.1', port: 1 },
      { host: '::1', port: 65_535 },
      { host: '2001:db8::a', port: 7002 },
    ]);
  });

  it.each(['', 'host', 'host:', ':7000', 'host:0', 'host:65536', '::1:7000', '[::1]', 'a:1,', 'redis://a:1', 'u@a:1'])(
    'are not in %j',
    (text) => {
      expect(parseRedisNodes(text)).toBeUndefined();
      if (text !== '') expect(problemsOf({ ...cluster, REDIS_NODES: text })).toHaveLength(1);
    },
  );
});

describe('the location of Redis', () => {
  it.each([
    ['redis://h', 0],
    ['redis://h/', 0],
    ['redis://h/0', 0],
    ['redis://h/5', 5],
  ])('includes the database: %s', (url, database) => {
    expect(load({ REDIS_URL: url })).toMatchObject({ mode: 'standalone', database });
  });

  it.each([
    ['redis://h:1', { tls: false, host: 'h', port: 1 }],
    ['valkey://h', { tls: false, host: 'h', port: 6379 }],
    ['valkeys://u:p%40@h/2', { tls: true, host: 'h', username: 'u', database: 2 }],
    ['rediss://[2001:db8::a]:7000/1', { tls: true, host: '2001:db8::a', port: 7000, database: 1 }],
    ['redis://[::1]', { host: '::1', port: 6379, socket: undefined }],
    ['unix:///run/redis/redis.sock', { tls: false, host: '', port: 0, socket: '/run/redis/redis.sock', database: 0 }],
    ['unix://u:p%2F@/tmp/a%20b.sock?db=5', { socket: '/tmp/a b.sock', database: 5, username: 'u' }],
    ['unix://:p%2F@/s', { socket: '/s', username: undefined }],
    ['unix://u@/s@home', { socket: '/s@home', username: 'u', password: undefined }],
  ])('includes the scheme, the host or the socket, and the account: %s', (url, expected) => {
    const redis = load({ REDIS_URL: url });
    expect(redis).toMatchObject(expected);
    if (url.includes('%2F')) expect(redis.password?.reveal()).toBe('p/');
  });

  it('for sentinels: their addresses, the name of the master and their own account', () => {
    const account = { REDIS_SENTINEL_USERNAME: 'watcher', REDIS_SENTINEL_PASSWORD: 'hunter2' };
    const redis = load({ ...sentinel, ...account, REDIS_URL: 'redis://u:p@any/3' });
    expect(redis).toMatchObject({
      mode: 'sentinel',
      nodes: [{ host: 's1', port: 26_379 }],
      database: 3,
      username: 'u',
      readFrom: 'master',
    });
    expect(load({ ...sentinel, REDIS_READ_FROM: 'prefer-replica' }).readFrom).toBe('prefer-replica');
    expect(redis.sentinel).toMatchObject({ name: 'main', username: 'watcher' });
    expect(redis.sentinel.password?.reveal()).toBe('hunter2');
    expect(inspect(redis, { depth: 9 })).not.toContain('hunter2');
  });

  it('for a cluster: some of its nodes; TLS and the account come from REDIS_URL', () => {
    const redis = load({ ...cluster, REDIS_URL: 'rediss://u:p@any' });
    expect(redis).toMatchObject({ mode: 'cluster', nodes: [{ host: 'n1', port: 7000 }], tls: true, username: 'u' });
  });

  it.each([
    [{ REDIS_NODES: 'a:1' }, 'REDIS_NODES: requires REDIS_MODE=sentinel or REDIS_MODE=cluster'],
    [
      { REDIS_READ_FROM: 'replica' },
      'REDIS_READ_FROM: requires REDIS_MODE=sentinel or REDIS_MODE=cluster; to read a single replica, set REDIS_URL to its address',
    ],
    [{ REDIS_READ_FROM: 'prefer-replica' }, 'REDIS_READ_FROM: requires REDIS_MODE=sentinel or REDIS_MODE=cluster'],
    [
      { ...sentinel, REDIS_READ_FROM: 'slave' },
      'REDIS_READ_FROM: invalid value "slave": expected one of master, replica, prefer-replica',
    ],
    [{ REDIS_SENTINEL_NAME: 'm' }, 'REDIS_SENTINEL_NAME: requires REDIS_MODE=sentinel'],
    [{ ...cluster, REDIS_SENTINEL_NAME: 'm' }, 'REDIS_SENTINEL_NAME: requires REDIS_MODE=sentinel'],
    [{ ...cluster, REDIS_SENTINEL_PASSWORD: 'm' }, 'REDIS_SENTINEL_PASSWORD: requires REDIS_MODE=sentinel'],
    [{ REDIS_MODE: 'cluster' }, 'REDIS_NODES: required with REDIS_MODE=cluster; expected '],
    [{ ...sentinel, REDIS_NODES: '' }, 'REDIS_NODES: required with REDIS_MODE=sentinel; expected '],
    [{ ...sentinel, REDIS_SENTINEL_NAME: '' }, 'REDIS_SENTINEL_NAME: required with REDIS_MODE=sentinel; expected '],
    [{ ...sentinel, REDIS_SENTINEL_USERNAME: 'u' }, 'REDIS_SENTINEL_USERNAME: requires REDIS_SENTINEL_PASSWORD'],
    [{ ...cluster, REDIS_URL: 'redis://h/1' }, 'REDIS_URL: database 1 with REDIS_MODE=cluster; expected database 0'],
    [{ ...cluster, REDIS_URL: 'unix:///s' }, 'REDIS_URL: unix:// with REDIS_MODE=cluster; expected another scheme'],
    [{ ...sentinel, REDIS_URL: 'unix:///s' }, 'REDIS_URL: unix:// with REDIS_MODE=sentinel; expected another scheme'],
    [{ REDIS_MODE: 'replica' }, 'REDIS_MODE: invalid value "replica": expected one of standalone, sentinel, cluster'],
  ])('is refused when its parts do not go together: %j', (environment, problem) => {
    expect(problemsOf(environment)).toEqual([expect.stringContaining(problem)]);
  });

  it('is refused with all that is wrong, a line each', () => {
    expect(problemsOf({ REDIS_MODE: 'sentinel', REDIS_TLS_CA_FILE: '/none' })).toHaveLength(4);
  });
});

describe('the verification of the certificate of Redis', () => {
  it('uses the host of the server, unless REDIS_TLS_SERVER_NAME is set', () => {
    const secure = { REDIS_URL: 'valkeys://10.0.0.1' };
    expect(load(secure)).toMatchObject({ tlsServerName: undefined, tlsRejectUnauthorized: true });
    expect(load({ ...secure, REDIS_TLS_SERVER_NAME: 'redis.example' }).tlsServerName).toBe('redis.example');
    for (const name of ['10.0.0.1', '::1', '[::1]', 'a b', '.example', 'redis.example:6379', '*.example']) {
      expect(problemsOf({ ...secure, REDIS_TLS_SERVER_NAME: name })).toEqual([
        `REDIS_TLS_SERVER_NAME: invalid value "${name}": expected a host name, with a rediss:// or valkeys:// address`,
      ]);
    }
  });

  it('can be disabled, with one warning', () => {
    const warnings: string[] = [];
    const environment = { REDIS_URL: 'rediss://h', REDIS_TLS_REJECT_UNAUTHORIZED: 'false' };
    const { redis } = loadSettings(environment, '/nowhere', {}, ({ text }) => warnings.push(text));
    expect(redis.tlsRejectUnauthorized).toBe(false);
    expect(warnings).toEqual(['REDIS_TLS_REJECT_UNAUTHORIZED: false, the certificate of Redis is not verified']);
  });

  it.each(['redis://h', 'valkey://h', 'unix:///s'])('requires TLS: %s', (url) => {
    const requirement = 'requires a REDIS_URL that starts with rediss:// or valkeys://';
    const settings = { REDIS_TLS_SERVER_NAME: 'redis.example', REDIS_TLS_REJECT_UNAUTHORIZED: 'false' };
    expect(problemsOf({ REDIS_URL: url, ...settings })).toEqual([
      `REDIS_TLS_SERVER_NAME: ${requirement}`,
      `REDIS_TLS_REJECT_UNAUTHORIZED: false ${requirement}`,
    ]);
    expect(problemsOf({ REDIS_URL: url, REDIS_TLS_REJECT_UNAUTHORIZED: 'true' })).toEqual([]);
  });
});

describe('the certificates', () => {
  let directory: string;
  let ca: Certificate;
  let own: Certificate;
  let other: Certificate;
  const tls = { REDIS_URL: 'rediss://h' };
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'certificates-'));
    const authority = await TestAuthority.create();
    ca = authority.certificate;
    [own, other] = await Promise.all([authority.issue(['proxy']), authority.issue(['proxy'])]);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('are read at the start, and the key is a secret', () => {
    const redis = load({
      ...tls,
      REDIS_TLS_CA_FILE: file('ca.pem', ca.cert),
      REDIS_TLS_CERT_FILE: file('cert.pem', own.cert),
      REDIS_TLS_KEY_FILE: file('key.pem', own.key),
    });
    expect([redis.tlsCa, redis.tlsCert, redis.tlsKey?.reveal()]).toEqual([ca.cert, own.cert, own.key]);
    expect(JSON.stringify(redis)).not.toContain('PRIVATE KEY');
  });

  it('must be there, hold what they are to hold, and be of use', () => {
    const REDIS_TLS_CA_FILE = file('ca.pem', ca.cert);
    expect(problemsOf({ ...tls, REDIS_TLS_CA_FILE: '/none' })).toHaveLength(1);
    expect(problemsOf({ ...tls, REDIS_TLS_CA_FILE: file('no.pem', 'x') })).toHaveLength(1);
    expect(problemsOf({ ...tls, REDIS_TLS_CA_FILE: file('cut.pem', ca.cert.slice(0, 300)) })).toEqual([
      'REDIS_TLS_CA_FILE: cannot be used (bad end line)',
    ]);
    expect(problemsOf({ REDIS_URL: 'redis://h', REDIS_TLS_CA_FILE })).toHaveLength(1);
    expect(problemsOf({ ...cluster, REDIS_TLS_CA_FILE })).toHaveLength(1);
  });

  it('of the proxy need their key, and the right one', () => {
    const REDIS_TLS_CERT_FILE = file('cert.pem', own.cert);
    const REDIS_TLS_KEY_FILE = file('key.pem', own.key);
    const both = { ...tls, REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE };
    expect(problemsOf({ ...tls, REDIS_TLS_CERT_FILE })).toEqual([
      expect.stringMatching(/^REDIS_TLS_CERT_FILE: requires/),
    ]);
    expect(problemsOf({ ...tls, REDIS_TLS_KEY_FILE })).toEqual([
      expect.stringMatching(/^REDIS_TLS_KEY_FILE: requires/),
    ]);
    expect(problemsOf({ ...both, REDIS_TLS_KEY_FILE: file('other.pem', other.key) })).toEqual([
      'REDIS_TLS_KEY_FILE: does not match REDIS_TLS_CERT_FILE',
    ]);
    expect(problemsOf({ ...both, REDIS_TLS_KEY_FILE: REDIS_TLS_CERT_FILE })).toEqual([
      'REDIS_TLS_KEY_FILE: file contains no private key; expected a PEM file',
    ]);
    const broken = file('broken.pem', '-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n');
    expect(problemsOf({ ...both, REDIS_TLS_KEY_FILE: broken })).toEqual([expect.stringContaining('cannot be used')]);
  });
});
