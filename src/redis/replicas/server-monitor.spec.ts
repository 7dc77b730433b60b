import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import { TestRedis } from '../../../test/support/redis.ts';
import { loadSettings } from '../../config/load-settings.ts';
import { RedisLogins } from '../redis-logins.ts';
import { redisOptions } from '../redis-options.ts';
import { ServerMonitor } from './server-monitor.ts';

let redis: TestRedis;
let monitor: ServerMonitor;
let logins: RedisLogins;
/** Number of lost connections. */
let lost: number;

function create({ account = '', timeoutMs = 60_000, isReadOnly = false } = {}): void {
  const url = `redis://${account}127.0.0.1:${redis.port}/5`;
  const timeouts = { REDIS_COMMAND_TIMEOUT_MS: '60000', REDIS_CONNECT_TIMEOUT_MS: '60000' };
  const settings = loadSettings({ REDIS_URL: url, ...timeouts }, '/nowhere');
  logins = new RedisLogins(settings.redis);
  monitor = new ServerMonitor(redisOptions(settings.redis), logins, isReadOnly, timeoutMs, () => lost++);
}

beforeEach(async () => {
  redis = await TestRedis.start();
  lost = 0;
});
afterEach(async () => {
  monitor.close();
  await redis.stop();
});

describe('ServerMonitor', () => {
  it('returns the replication of a server, and reports the loss of the connection', async () => {
    create();
    expect(await monitor.check()).toMatchObject({ kind: 'ok', replication: { role: 'master', offset: 0 } });
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until('it is reported', () => lost === 1 || undefined);
    expect(await monitor.check()).toMatchObject({ kind: 'ok' });
    monitor.close();
    expect(await monitor.check()).toMatchObject({ kind: 'ok' });
    await redis.stop();
    await until('it is reported', () => lost === 2 || undefined);
    expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'ECONNREFUSED' });
    // A report would lead to the next check at once.
    for (let i = 0; i < 3; i++) expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'ECONNREFUSED' });
    await setImmediate();
    expect(lost).toBe(2);
  });

  it('uses the previous credentials at once while Redis refuses the present ones, and the present ones later', async () => {
    await redis.client.call('ACL', 'SETUSER', 'proxy', 'on', '>old', '~*', '+@all');
    create({ account: 'proxy:old@' });
    const settings = loadSettings({ REDIS_URL: `redis://proxy:new@127.0.0.1:${redis.port}` }, '/nowhere');
    logins.use(settings.redis);
    expect(await monitor.check()).toMatchObject({ kind: 'ok' });
    await redis.client.call('ACL', 'SETUSER', 'proxy', 'resetpass', '>new');
    monitor.close();
    expect(await monitor.check()).toMatchObject({ kind: 'ok' });
    await redis.client.call('ACL', 'SETUSER', 'proxy', 'resetpass', '>neither');
    monitor.close();
    expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'WRONGPASS' });
  });

  it('fails with MASTERDOWN, or without its master replies that the link is down', async () => {
    create();
    await redis.client.replicaof('127.0.0.1', 1);
    expect(await monitor.check()).toMatchObject({ kind: 'ok', replication: { role: 'replica', isLinkUp: false } });
    await redis.client.config('SET', 'replica-serve-stale-data', 'no');
    expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'MASTERDOWN' });
  });

  it('fails after its time limit, and checks again over another connection', async () => {
    create({ timeoutMs: 500 });
    redis.server?.signal('SIGSTOP');
    expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'no reply in time' });
    redis.server?.signal('SIGCONT');
    await until('it replies', async () => (await monitor.check()).kind === 'ok' || undefined);
    expect(lost).toBe(0);
  });

  it('names a missing permission until it is granted; a key that may not be read does not matter', async () => {
    await redis.client.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', '~app:*', '+get', '+ping', '+client|setname');
    create({ account: 'proxy:secret@' });
    expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'the account lacks +info' });
    await redis.client.call('ACL', 'SETUSER', 'proxy', '+info');
    expect(await monitor.check()).toMatchObject({ kind: 'ok' });
    monitor.close();
    create({ account: 'proxy:secret@', isReadOnly: true });
    expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'the account lacks +readonly' });
    await redis.client.call('ACL', 'SETUSER', 'proxy', '+readonly');
    // An error of a server without a cluster.
    expect(await monitor.check()).toEqual({ kind: 'failed', reason: 'READONLY: ERR' });
  });
});
