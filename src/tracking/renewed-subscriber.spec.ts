import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/processes.ts';
import { RedisRelay } from '../../test/support/redis-relay.ts';
import { TestRedis } from '../../test/support/redis.ts';
import { loadSettings } from '../config/load-settings.ts';
import { LoginChoice, type LoginOutcome, RedisLogins, loginOptions } from '../redis/redis-logins.ts';
import { redisOptions } from '../redis/redis-options.ts';
import { RenewedSubscriber } from './renewed-subscriber.ts';
import { SubscriberConnection, subscriberOptions } from './subscriber-connection.ts';

/** Lenient, since replies are held back. */
const HEARTBEAT = { intervalMs: 20, maxOutstanding: 100_000 };
const START_MS = 60_000;

let redis: TestRedis;
let relay: RedisRelay;
let logins: RedisLogins;
let subscriber: RenewedSubscriber;
let events: string[];
let outcomes: LoginOutcome[];
/** Times, by `performance.now()`, before which all messages had been received. */
let confirmedAt: number[];

const settingsOf = (user: string) =>
  loadSettings({ REDIS_URL: relay.url.replace('//', `//${user}:${user}@`) }, '/nowhere').redis;
const messages = (): string[] => events.filter((event) => /^[a-z]$/.test(event));

beforeEach(async () => {
  redis = await TestRedis.start();
  relay = await RedisRelay.to(redis.port);
  for (const user of ['old', 'new']) await redis.client.call('ACL', 'SETUSER', user, 'on', `>${user}`, '&*', '+@all');
  events = [];
  outcomes = [];
  confirmedAt = [];
  logins = new RedisLogins(settingsOf('old'));
  logins.watch((outcome) => outcomes.push(outcome));
  const options = subscriberOptions(redisOptions(settingsOf('old')), 'test');
  subscriber = new RenewedSubscriber(
    { logins, choice: new LoginChoice(logins) },
    {
      onSubscribed: () => events.push('subscribed'),
      onMessage: (message) => events.push(String(message)),
      onHeartbeat: (ageMs) => confirmedAt.push(performance.now() - ageMs),
      onEnd: ({ kind, reason }) => events.push(`${kind}: ${reason}`),
    },
    (login, received) =>
      new SubscriberConnection({ ...options, ...loginOptions(login) }, HEARTBEAT, START_MS, {
        subscribe: async (connection) => {
          await connection.subscribe('channel');
          return undefined;
        },
        ...received,
      }),
  );
  await until('it is subscribed', () => events.includes('subscribed') || undefined);
});
afterEach(async () => {
  subscriber.close();
  await relay.stop();
  await redis.stop();
});

/** Returns the users of the connections that have subscribed. */
async function users(): Promise<string[]> {
  const list = String(await redis.client.client('LIST')).split('\n');
  return list.flatMap((line) => (line.includes(' sub=1 ') ? (/ user=(\S+)/.exec(line)?.[1] ?? []) : []));
}

describe('RenewedSubscriber', () => {
  it('replaces the connection once all messages that were sent before have been received', async () => {
    relay.hold('data');
    await redis.client.publish('channel', 'a');
    logins.use(settingsOf('new'));
    await until('both are subscribed', async () => (await users()).length === 2 || undefined);
    await redis.client.publish('channel', 'b');
    await until('the next one receives messages', () => messages().includes('b') || undefined);
    const heldSince = performance.now();
    await until('pings are sent', async () => (await redis.calls('ping')) > 20 || undefined);
    // Neither has the message before arrived, nor does the next connection confirm that it has.
    expect([messages(), await users()]).toEqual([['b'], expect.arrayContaining(['old', 'new'])]);
    expect(Math.max(...confirmedAt)).toBeLessThan(heldSince);
    relay.release('data');
    await until('it is replaced', async () => (await users()).join() === 'new' || undefined);
    expect(messages()).toEqual(['b', 'a', 'b']);
    const replacedAt = performance.now();
    await until('it confirms', () => (confirmedAt.at(-1) ?? 0) > replacedAt || undefined);
    await redis.client.publish('channel', 'c');
    await until('it receives messages', () => messages().includes('c') || undefined);
    expect(events.filter((event) => !/^[abc]$/.test(event))).toEqual(['subscribed']);
    expect(outcomes).toEqual([{ kind: 'accepted' }]);
  });

  it('keeps the connection while the credentials are refused, and replaces it when they are accepted', async () => {
    await redis.client.call('ACL', 'SETUSER', 'new', 'off');
    logins.use(settingsOf('new'));
    await until('they are refused', () => outcomes.length > 0 || undefined);
    expect(outcomes).toEqual([{ kind: 'refused', reason: 'WRONGPASS', isConnected: true }]);
    await redis.client.publish('channel', 'a');
    await until('it receives messages', () => messages().includes('a') || undefined);
    await redis.client.call('ACL', 'SETUSER', 'new', 'on');
    await until('it is replaced', async () => (await users()).join() === 'new' || undefined);
    expect(events).toEqual(['subscribed', 'a']);
  });

  it('ends, once, if the connection is lost before the next one has taken over', async () => {
    relay.hold('data');
    logins.use(settingsOf('new'));
    await until('both are subscribed', async () => (await users()).length === 2 || undefined);
    await redis.client.call('ACL', 'DELUSER', 'old');
    await until('it has ended', () => events.length > 1 || undefined);
    // The connection is reset if the last PING was not read.
    expect(events).toEqual(['subscribed', expect.stringMatching(/^lost: (?:connection|ECONNRESET|EPIPE)$/)]);
    await until('both are closed', async () => (await users()).length === 0 || undefined);
  });
});
