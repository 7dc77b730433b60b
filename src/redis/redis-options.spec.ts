import { describe, expect, it } from '@jest/globals';
import { loadSettings } from '../config/load-settings.ts';
import { loginIn, loginOptions } from './redis-logins.ts';
import { backOffMs, redisOptions } from './redis-options.ts';

/** Returns the options of a connection, with its credentials. */
function optionsFor(environment: Record<string, string>) {
  const { redis } = loadSettings(environment, '/nowhere');
  return { ...redisOptions(redis), ...loginOptions(loginIn(redis)) };
}

describe('reconnecting', () => {
  it('starts immediately, backs off and stays within 600 ms, so that the proxy recovers within a second', () => {
    const none = Array.from({ length: 40 }, (_, i) => backOffMs(i + 1, () => 0));
    expect(none.slice(0, 6)).toEqual([25, 50, 100, 200, 400, 500]);
    expect(Math.max(...none)).toBe(500);
    expect(backOffMs(1000, () => 0.999)).toBe(599);
  });
});

describe('the connection', () => {
  it('never queues commands while disconnected', () => {
    expect(optionsFor({})).toMatchObject({ enableOfflineQueue: false, maxRetriesPerRequest: 0, lazyConnect: true });
  });

  it('uses address, database and account of REDIS_URL', () => {
    expect(optionsFor({ REDIS_URL: 'redis://ann:p%40ss@db.example:7000/3' })).toMatchObject({
      host: 'db.example',
      port: 7000,
      db: 3,
      username: 'ann',
      password: 'p@ss',
      tls: undefined,
    });
  });

  it('prefers REDIS_USERNAME and REDIS_PASSWORD over the account of REDIS_URL', () => {
    const options = optionsFor({ REDIS_URL: 'redis://ann:a@db', REDIS_USERNAME: 'ben', REDIS_PASSWORD: 'b' });
    expect(options).toMatchObject({ username: 'ben', password: 'b' });
  });

  it('uses TLS for rediss:// and verifies the host name', () => {
    expect(optionsFor({ REDIS_URL: 'rediss://db.example' }).tls).toMatchObject({ servername: 'db.example' });
    expect(optionsFor({ REDIS_URL: 'rediss://[::1]' }).tls).not.toHaveProperty('servername');
  });

  it('verifies REDIS_TLS_SERVER_NAME in place of the host, and nothing if verification is disabled', () => {
    const named = { REDIS_URL: 'rediss://10.0.0.1', REDIS_TLS_SERVER_NAME: 'redis.example' };
    expect(optionsFor(named).tls).toMatchObject({ servername: 'redis.example', rejectUnauthorized: true });
    const unverified = { REDIS_URL: 'valkeys://h', REDIS_TLS_REJECT_UNAUTHORIZED: 'false' };
    expect(optionsFor(unverified).tls).toMatchObject({ servername: 'h', rejectUnauthorized: false });
  });

  it('leads to a socket for unix://', () => {
    const options = optionsFor({ REDIS_URL: 'unix://ann:a@/run/redis.sock?db=3' });
    expect(options).toMatchObject({ path: '/run/redis.sock', db: 3, username: 'ann', password: 'a' });
    expect(options).not.toHaveProperty('host');
  });

  it('resolves the master with sentinels, which have a separate account, and uses TLS for both or neither', () => {
    const sentinel = {
      REDIS_MODE: 'sentinel',
      REDIS_NODES: 'a:1,b:2',
      REDIS_SENTINEL_NAME: 'main',
      REDIS_SENTINEL_PASSWORD: 'secret',
    };
    const options = optionsFor({ ...sentinel, REDIS_URL: 'redis://ann:a@any/3' });
    expect(options).toMatchObject({
      sentinels: [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
      ...{ name: 'main', role: 'master', sentinelPassword: 'secret', username: 'ann', password: 'a', db: 3 },
      ...{ enableTLSForSentinelMode: false, tls: undefined, sentinelTLS: undefined },
    });
    expect(options).not.toHaveProperty('host');
    const encrypted = optionsFor({ ...sentinel, REDIS_URL: 'rediss://any' });
    expect(encrypted).toMatchObject({ enableTLSForSentinelMode: true, tls: {}, sentinelTLS: {} });
  });
});
