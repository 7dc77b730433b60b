import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/processes.ts';
import { PATIENT_TIMEOUTS, TestRedis } from '../../test/support/redis.ts';
import { loadSettings } from '../config/load-settings.ts';
import { FailoverWatch, leadsTo } from './failover-watch.ts';
import { RedisLogins } from './redis-logins.ts';

const [OLD, NEW] = ['old', 'new'];
/** A message of a sentinel: the master has moved to another port. */
const moved = (to: number, name = 'main'): string => `${name} 127.0.0.1 1 127.0.0.1 ${to}`;

/** In place of a sentinel: a Redis, which accepts messages on any channel. */
let sentinel: TestRedis;
let logins: RedisLogins;
let watch: FailoverWatch;
/** Ports of the masters that were reported. */
let failovers: number[];
let refused: number;

const settingsWith = (password: string) =>
  loadSettings(
    {
      REDIS_MODE: 'sentinel',
      // Nobody listens at the first one.
      REDIS_NODES: `127.0.0.1:1,127.0.0.1:${sentinel.port}`,
      REDIS_SENTINEL_NAME: 'main',
      REDIS_SENTINEL_PASSWORD: password,
      ...PATIENT_TIMEOUTS,
    },
    '/nowhere',
  ).redis;

const subscribed = (count = 1): Promise<true> =>
  until('it is subscribed', async () => {
    const [, subscribers] = (await sentinel.client.pubsub('NUMSUB', '+switch-master')) as [string, number];
    return subscribers === count || undefined;
  });
const publish = (text: string) => sentinel.client.publish('+switch-master', text);
const kill = () => sentinel.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');

beforeEach(async () => {
  sentinel = await TestRedis.start();
  await sentinel.client.config('SET', 'requirepass', OLD);
  failovers = [];
  refused = 0;
  const settings = settingsWith(OLD);
  logins = new RedisLogins(settings);
  logins.watch(({ kind }) => {
    if (kind === 'refused') refused++;
  });
  watch = new FailoverWatch(settings, logins, ({ port }) => failovers.push(port));
  watch.start();
  await subscribed();
});
afterEach(async () => {
  watch.close();
  await sentinel.stop();
});

it.each([
  ['its address', '127.0.0.1', true],
  ['its name, as sentinels with announce-hostnames list it', 'localhost', true],
  ['another address', '127.0.0.2', false],
  ['a name that does not exist', 'nobody.invalid', false],
])('a connection is compared with a server by the port and %s', async (_, host, expected) => {
  const socket = connect(sentinel.port, '127.0.0.1');
  await once(socket, 'connect');
  expect(await leadsTo(socket, { host, port: sentinel.port })).toBe(expected);
  expect(await leadsTo(socket, { host, port: 1 })).toBe(false);
  socket.destroy();
});

describe('FailoverWatch', () => {
  it('reports the failovers of its master, and of no other', async () => {
    for (const text of [moved(2, 'mainly'), moved(3), moved(4)]) await publish(text);
    await until('they are reported', () => failovers.length >= 2 || undefined);
    expect(failovers).toEqual([3, 4]);
  });

  it('subscribes again after a loss, with the credentials of that time', async () => {
    await sentinel.client.config('SET', 'requirepass', NEW);
    await kill();
    await until('the former password is rejected', () => refused > 0 || undefined);
    logins.use(settingsWith(NEW));
    await subscribed();
    await publish(moved(2));
    await until('it is reported', () => failovers.length === 1 || undefined);
  });

  it('keeps a subscription while the password changes, and uses the former one while the present one is rejected', async () => {
    logins.use(settingsWith(NEW));
    await publish(moved(2));
    await until('it is reported', () => failovers.length === 1 || undefined);
    expect(refused).toBe(0);
    await kill();
    await until('the present password is rejected', () => refused > 0 || undefined);
    await subscribed();
  });

  it('ends when it is closed', async () => {
    watch.close();
    await subscribed(0);
    logins.use(settingsWith(NEW));
    await subscribed(0);
  });
});
