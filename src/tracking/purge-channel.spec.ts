import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/processes.ts';
import { RedisRelay } from '../../test/support/redis-relay.ts';
import { TestRedis } from '../../test/support/redis.ts';
import { loadSettings } from '../config/load-settings.ts';
import { CoherenceCounts } from '../instance/counts/coherence-counts.ts';
import { type ThreadContext, createInstance } from '../instance/thread-context.ts';
import { Query } from '../redis/query.ts';
import { redisOptions } from '../redis/redis-options.ts';
import type { ReadServer } from '../redis/masters.ts';
import { PurgeSubscription, watchPurgeChannel } from './purge-channel.ts';
import type { ServerFollower } from './server-follower.ts';
import type { ConnectionEnd } from './subscriber-connection.ts';

const CHANNEL = 'purges';

describe('watchPurgeChannel', () => {
  let redis: TestRedis;
  let context: ThreadContext;
  let counts: CoherenceCounts;
  let channel: ServerFollower | undefined;
  let lines: string[];

  beforeEach(async () => {
    redis = await TestRedis.start();
    lines = [];
  });
  afterEach(async () => {
    channel?.stop();
    channel = undefined;
    await redis.stop();
  });

  function watch(url = redis.url): void {
    const settings = loadSettings({ REDIS_URL: url, CACHE_CAPACITY: '100', CACHE_MAX_BYTES: '100000' }, '/nowhere');
    context = createInstance(settings);
    counts = new CoherenceCounts(context.instance);
    const note = (line: string): void => void lines.push(line);
    channel = watchPurgeChannel({ settings, memory: context, logger: { log: note, warn: note } }, CHANNEL);
  }

  const untilSubscribed = (): Promise<true> =>
    until('it is subscribed', () => (counts.isSubscribed ? true : undefined));
  /** Not by the state, which may be missed: another connection subscribes soon. */
  const untilLost = (): Promise<true> => until('it is lost', () => counts.subscriptionLosses > 0 || undefined);
  const isCached = (key: string): boolean => context.lru.peek(Query.get(Buffer.from(key))) !== undefined;

  function store(...keys: string[]): void {
    for (const key of keys) {
      const found = context.lru.lookup(Query.get(Buffer.from(key)));
      if (found.kind === 'miss') context.lru.commit(found.lease, Buffer.from('value'), [1, 2, 3], 60_000);
    }
  }

  async function publish(...messages: (string | Buffer)[]): Promise<void> {
    const processed = counts.purges + counts.ignoredPurges + messages.length;
    for (const message of messages) await redis.client.publish(CHANNEL, message);
    await until('the messages are processed', () =>
      counts.purges + counts.ignoredPurges === processed ? true : undefined,
    );
  }

  it('purges what the messages say, and logs what it ignored', async () => {
    watch();
    await untilSubscribed();
    store('user:1', 'user:2', 'session:1', 'session:2', 'other');
    await publish('user:1');
    expect([isCached('user:1'), isCached('user:2')]).toEqual([false, true]);
    await publish('prefix:session:');
    expect([isCached('session:1'), isCached('session:2'), isCached('user:2')]).toEqual([false, false, true]);
    await publish('pattern:u*', 'key:', 'prefix:');
    expect([isCached('user:2'), isCached('other')]).toEqual([false, true]);
    expect([counts.purges, counts.ignoredPurges]).toEqual([3, 2]);
    expect(lines).toEqual([
      'subscribed to CACHE_PURGE_CHANNEL',
      'ignored a message on CACHE_PURGE_CHANNEL: the key is empty',
    ]);
  });

  it('purges keys of any bytes', async () => {
    watch();
    await untilSubscribed();
    const key = Buffer.from([0xff, 0, 0x0a]);
    const found = context.lru.lookup(Query.get(key));
    if (found.kind === 'miss') context.lru.commit(found.lease, key, [1, 2, 3], 60_000);
    await publish(key);
    expect(context.lru.stats().entries).toBe(0);
  });

  it('expires all entries when it is subscribed again after a loss, which it logs and counts', async () => {
    watch();
    await untilSubscribed();
    store('a');
    await redis.client.client('KILL', 'TYPE', 'PUBSUB');
    await until('it is lost, and back', () => (lines.length === 3 ? true : undefined));
    expect(isCached('a')).toBe(false);
    expect([counts.isSubscribed, counts.subscriptionLosses]).toEqual([true, 1]);
    expect(lines).toEqual([
      'subscribed to CACHE_PURGE_CHANNEL',
      // The connection is reset if Redis had not read the last PING.
      expect.stringMatching(
        /^not subscribed to CACHE_PURGE_CHANNEL \((?:connection|ECONNRESET|EPIPE)\); purges are missed$/,
      ),
      'subscribed to CACHE_PURGE_CHANNEL again; all entries expired',
    ]);
    store('a');
    await publish('a');
    expect(isCached('a')).toBe(false);
  });

  it('keeps entries while it is not subscribed, and logs each reason once', async () => {
    watch();
    await untilSubscribed();
    store('a');
    await redis.server?.stop('SIGKILL');
    await untilLost();
    expect(isCached('a')).toBe(true);
    const refused = 'not subscribed to CACHE_PURGE_CHANNEL (ECONNREFUSED); purges are missed';
    await until('it has tried again', () => lines.includes(refused) || undefined);
    redis = await redis.restart();
    await untilSubscribed();
    expect(isCached('a')).toBe(false);
    expect(lines.at(-1)).toBe('subscribed to CACHE_PURGE_CHANNEL again; all entries expired');
    expect([...new Set(lines)]).toEqual(lines);
  });

  it('expires entries that were stored before it was subscribed for the first time', async () => {
    const relay = await RedisRelay.to(redis.port);
    try {
      watch(relay.url);
      store('a');
      await untilSubscribed();
      expect(isCached('a')).toBe(false);
    } finally {
      channel?.stop();
      await relay.stop();
    }
  });

  it('detects a connection that has become silent', async () => {
    const relay = await RedisRelay.to(redis.port);
    try {
      watch(relay.url);
      await untilSubscribed();
      relay.hold('feed');
      relay.hold('data');
      await untilLost();
      expect(lines).toContain('not subscribed to CACHE_PURGE_CHANNEL (timeout); purges are missed');
      await untilSubscribed();
    } finally {
      channel?.stop();
      await relay.stop();
    }
  });

  it('logs a missing permission, and subscribes once it is granted', async () => {
    await redis.client.call('ACL', 'SETUSER', 'proxy', 'on', '>secret', '+ping', '+subscribe', 'resetchannels');
    const settings = loadSettings({ REDIS_URL: redis.url.replace('//', '//proxy:secret@') }, '/nowhere');
    const ends: ConnectionEnd[] = [];
    let subscribed = false;
    const subscription = new PurgeSubscription(
      CHANNEL,
      settings,
      {
        onSubscribed: () => (subscribed = true),
        onMessage: () => undefined,
        onEnd: (end) => ends.push(end),
      },
      50,
    );
    try {
      subscription.follow([masterOf(redis.url.replace('//', '//proxy:secret@'), 'a')]);
      await until('it is refused', () => ends.length > 0 || undefined);
      expect(ends[0]).toEqual({ kind: 'refused', reason: 'NOPERM' });
      await redis.client.call('ACL', 'SETUSER', 'proxy', `&${CHANNEL}`);
      await until('it is subscribed', () => subscribed || undefined);
    } finally {
      subscription.stop();
    }
  });
});

function masterOf(url: string, identity: string): ReadServer {
  const { redis } = loadSettings({ REDIS_URL: url }, '/nowhere');
  return { name: identity, identity, nodeId: '', options: redisOptions(redis) };
}

describe('PurgeSubscription to one of several masters', () => {
  let servers: TestRedis[];
  let subscription: PurgeSubscription;
  let events: string[];

  beforeEach(async () => {
    servers = await Promise.all([TestRedis.start(), TestRedis.start()]);
    events = [];
    subscription = new PurgeSubscription(CHANNEL, loadSettings({}, '/nowhere'), {
      onSubscribed: () => events.push('subscribed'),
      onMessage: (message) => events.push(message.toString()),
      onEnd: ({ reason }) => events.push(reason),
    });
  });
  afterEach(async () => {
    subscription.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  const untilEvents = (count: number): Promise<true> =>
    until(`${count} events`, () => (events.length >= count ? true : undefined));
  const subscribers = async ({ client }: TestRedis): Promise<number> =>
    Number((await client.pubsub('NUMSUB', CHANNEL))[1]);

  it('has one subscription, and moves it when its master is not listed any more', async () => {
    const masters = servers.map(({ url }, i) => masterOf(url, String(i)));
    subscription.follow([]);
    subscription.follow(masters);
    await untilEvents(1);
    const counts = await Promise.all(servers.map(subscribers));
    expect([...counts].sort()).toEqual([0, 1]);
    const [used, other] = counts[0] === 1 ? [0, 1] : [1, 0];
    subscription.follow([...masters].reverse());
    subscription.follow([masters[other]]);
    await untilEvents(3);
    await servers[other].client.publish(CHANNEL, 'message');
    await untilEvents(4);
    expect(events).toEqual(['subscribed', 'the master was replaced', 'subscribed', 'message']);
    await until('the first one has ended', async () => ((await subscribers(servers[used])) === 0 ? true : undefined));
  });

  it('subscribes at another master when its own one fails', async () => {
    subscription.follow(servers.map(({ url }, i) => masterOf(url, String(i))));
    await untilEvents(1);
    const used = (await subscribers(servers[0])) === 1 ? 0 : 1;
    await servers[used].server?.stop('SIGKILL');
    await until('it is subscribed again', () => (events.at(-1) === 'subscribed' && events.length > 1) || undefined);
    expect(await subscribers(servers[1 - used])).toBe(1);
  });
});
