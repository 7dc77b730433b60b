import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { type Child, until } from '../support/processes.ts';
import { type Settings, TestProxy, launch } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const PASSWORD = 'p@ss:w/rd%?#';

let redis: TestRedis;
let child: Child | undefined;

beforeEach(async () => {
  redis = await TestRedis.start('--databases', '8');
  await redis.client.set('key', 'in 0');
});
afterEach(async () => {
  const code = await child?.stop();
  await redis.stop();
  expect(`${child?.output}${child?.errors}`).not.toContain(PASSWORD);
  expect(code).toBe(0);
  child = undefined;
});

/** Starts a proxy that Redis rejects; returns its address once it has logged the reason. */
async function refused(credentials: string, path: string, reason: RegExp, settings: Settings = {}): Promise<string> {
  const url = `redis://${credentials}127.0.0.1:${redis.port}${path}`;
  const proxy = (child = launch({ PROXY_THREADS: 1, REDIS_URL: url, ...settings }));
  const address = await until('the proxy listens', () => /listening on (http:[^"]+)"/.exec(proxy.output)?.[1]);
  await until('it says why', () => reason.test(proxy.output) || undefined);
  return address;
}

async function expectNothing(url: string): Promise<void> {
  const [read, ready] = await Promise.all([sendRequest(url, '/v1/keys/key'), sendRequest(url, '/health/ready')]);
  expect([read.status, read.json.code, ready.status]).toEqual([503, 'redis-unavailable', 503]);
}

describeOwn('a Redis that rejects the proxy', () => {
  beforeEach(() => redis.client.config('SET', 'requirepass', PASSWORD));

  it.each([
    ['without a password', '', /not reachable \(NOAUTH/],
    ['with a wrong password', ':wrong@', /not reachable \(WRONGPASS/],
    ['as an unknown user', 'nobody:wrong@', /not reachable \(WRONGPASS/],
  ])('%s: the proxy starts, logs the reason, and responds with 503', async (_, credentials, reason) => {
    await expectNothing(await refused(credentials, '', reason));
  });

  it('because it is not a cluster, as REDIS_MODE says: the log names the command that it refused', async () => {
    const cluster = { REDIS_MODE: 'cluster', REDIS_NODES: `127.0.0.1:${redis.port}` };
    const credentials = `:${encodeURIComponent(PASSWORD)}@`;
    await expectNothing(await refused(credentials, '', /not reachable \(CLUSTER: ERR\)/, cluster));
  });

  it('accepts a password with any characters, percent-encoded in REDIS_URL', async () => {
    const url = `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${redis.port}`;
    const proxy = await TestProxy.start({ PROXY_THREADS: 1, REDIS_URL: url });
    child = proxy.child;
    expect((await proxy.key('key')).text).toBe('in 0');
  });
});

describeOwn('an unavailable database', () => {
  it('that does not exist never results in values of database 0', async () => {
    await expectNothing(await refused('', '/8', /not reachable \(SELECT: ERR\)/));
  });

  it('that the user may not select never results in values of database 0, and is read once permitted', async () => {
    const grant = (...rules: string[]) => redis.client.call('ACL', 'SETUSER', 'reader', ...rules);
    await grant('on', '>secret', '~*', '+get', '+pttl', '+ping');
    await redis.client.select(5);
    await redis.client.set('key', 'in 5');
    const url = await refused('reader:secret@', '/5', /not reachable \(SELECT: NOPERM\)/);
    await expectNothing(url);
    await grant('+select');
    await until('it is ready', async () => (await sendRequest(url, '/health/ready')).status === 200 || undefined);
    expect((await sendRequest(url, '/v1/keys/key')).text).toBe('in 5');
  });
});
