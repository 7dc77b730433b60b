import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/processes.ts';
import { RedisRelay } from '../../test/support/redis-relay.ts';
import { TestRedis } from '../../test/support/redis.ts';
import { Stopwatch } from '../../test/support/stopwatch.ts';
import { loadSettings } from '../config/load-settings.ts';
import { STALENESS_BOUND_MS } from './invalidation-connection.ts';
import { type FeedState, InvalidationFeed } from './invalidation-feed.ts';
import { redisOptions } from '../redis/redis-options.ts';

const REFUSED_RETRY_MS = 50;

let feed: InvalidationFeed;
let states: FeedState[];
/** Keys as binary strings, and `(flush)`. */
let news: string[];
/** Each time that all writes before which were known to be told, by `performance.now()`. */
let heard: number[];

function follow(url: string, settings: Readonly<Record<string, string>> = {}, nodeId = ''): void {
  const loaded = loadSettings({ REDIS_URL: url, ...settings }, '/nowhere');
  feed = new InvalidationFeed(redisOptions(loaded.redis), loaded, nodeId, REFUSED_RETRY_MS);
  states = [];
  news = [];
  heard = [];
  feed.start({
    invalidated: (key) => news.push(key.toString('latin1')),
    flushed: () => news.push('(flush)'),
    heard: (agoMs) => heard.push(performance.now() - agoMs),
    changed: (state) => states.push(state),
  });
}

const isNow = (kind: FeedState['kind']): Promise<true> =>
  until(`the feed is ${kind}`, () => (states.at(-1)?.kind === kind ? true : undefined));

describe('a feed of a cluster node', () => {
  let redis: TestRedis;

  beforeEach(async () => {
    redis = await TestRedis.start('--cluster-enabled', 'yes');
  });
  afterEach(async () => {
    feed.stop();
    await redis.stop();
  });

  it('tracks the node that CLUSTER SLOTS names at the address, and no other one', async () => {
    const id = String(await redis.client.cluster('MYID'));
    follow(
      redis.url,
      {},
      id.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
    );
    await until('it is lost', () => states.length > 0 || undefined);
    feed.stop();
    expect(states).toEqual([{ kind: 'lost', reason: 'another node' }]);
    expect(await redis.calls('client\\|tracking')).toBe(0);
    follow(redis.url, {}, id);
    await isNow('tracking');
  });

  it('tracks a node that must not be asked for its id', async () => {
    await redis.client.call('ACL', 'SETUSER', 'default', '-cluster|myid');
    follow(redis.url, {}, 'any');
    await isNow('tracking');
  });
});

describe('the news of writes', () => {
  let redis: TestRedis;

  beforeEach(async () => {
    redis = await TestRedis.start();
  });
  afterEach(async () => {
    feed.stop();
    await redis.stop();
  });

  /** Waits for what has been told of all writes until now. */
  async function newsOf(write: () => Promise<unknown>): Promise<string[]> {
    news = [];
    await write();
    await redis.client.set('the end', '');
    await until('the last write is told of', () => (news.at(-1) === 'the end' ? true : undefined));
    return news.slice(0, -1);
  }

  it.each<[string, string[][], string[]]>([
    ['SET', [['set', 'key', 'new']], ['key']],
    ['APPEND', [['append', 'key', 'more']], ['key']],
    ['SETRANGE', [['setrange', 'key', '0', 'N']], ['key']],
    ['INCR', [['incr', 'count']], ['count']],
    ['DEL', [['del', 'key']], ['key']],
    ['UNLINK', [['unlink', 'key']], ['key']],
    ['GETDEL', [['getdel', 'key']], ['key']],
    ['EXPIRE 0', [['expire', 'key', '0']], ['key']],
    ['PEXPIRE 0', [['pexpire', 'key', '0']], ['key']],
    ['a shorter life', [['pexpire', 'key', '100000']], ['key']],
    ['RENAME', [['rename', 'key', 'other']], ['key', 'other']],
    ['COPY', [['copy', 'key', 'other']], ['other']],
    ['a transaction', [['multi'], ['set', 'key', 'a'], ['set', 'other', 'b'], ['exec']], ['key', 'other']],
    ['a script', [['eval', "redis.call('set', KEYS[1], 'a')", '1', 'key']], ['key']],
    [
      'a key of another database, whose name is all that is told',
      [
        ['select', '3'],
        ['set', 'key', 'a'],
      ],
      ['key'],
    ],
    ['FLUSHALL', [['flushall']], ['(flush)']],
    ['FLUSHDB', [['flushdb']], ['(flush)']],
  ])('%s', async (_, commands, expected) => {
    await redis.client.set('key', 'value');
    follow(redis.url);
    await isNow('tracking');
    const told = await newsOf(async () => {
      for (const [command, ...args] of commands) await redis.client.call(command, ...args);
    });
    expect([...new Set(told)].sort()).toEqual(expected);
  });

  it('names keys by their bytes', async () => {
    follow(redis.url);
    await isNow('tracking');
    const key = Buffer.from([0xff, 0, 0x0d, 0x0a, 0x80]);
    expect(await newsOf(() => redis.client.set(key, 'value'))).toEqual([key.toString('latin1')]);
  });

  it('comes when a key expires, and when Redis needs its room', async () => {
    follow(redis.url);
    await isNow('tracking');
    await redis.client.set('mortal', 'value', 'PX', 20);
    await until('it has expired', () => (news.filter((key) => key === 'mortal').length === 2 ? true : undefined));
    await redis.client.set('evicted', 'value');
    news = [];
    await redis.client.config('SET', 'maxmemory-policy', 'allkeys-random');
    await redis.client.config('SET', 'maxmemory', '1mb');
    await redis.client.set('the end', 'value').catch(() => undefined);
    await until('it was evicted', () => (news.includes('evicted') ? true : undefined));
  });

  it('leaves out keys that nobody may read, but not that all are gone', async () => {
    follow(redis.url, { KEY_ALLOWLIST: 'user:*,page:?,the end' });
    await isNow('tracking');
    const told = newsOf(async () => {
      await redis.client.mset('user:1', '', 'page:12', '', 'users', '', 'secret', '');
      await redis.client.flushall();
    });
    expect(new Set(await told)).toEqual(new Set(['user:1', 'page:12', '(flush)']));
  });

  it('is none when somebody else says something on the same channel', async () => {
    follow(redis.url);
    await isNow('tracking');
    expect(await newsOf(() => redis.client.publish('__redis__:invalidate', 'key'))).toEqual([]);
  });

  it('is asked for again on a new connection when the one there was is killed', async () => {
    follow(redis.url);
    await isNow('tracking');
    expect(await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(1);
    await isNow('lost');
    await isNow('tracking');
    expect(states).toEqual([{ kind: 'tracking' }, { kind: 'lost', reason: 'connection' }, { kind: 'tracking' }]);
    expect(await newsOf(() => redis.client.set('key', 'value'))).toEqual(['key']);
  });

  it('is known to be lost within the bound when the connection goes dead without a word', async () => {
    const relay = await RedisRelay.to(redis.port);
    follow(relay.url);
    await isNow('tracking');
    relay.hold('feed');
    const [since, watch] = [performance.now(), new Stopwatch()];
    await redis.client.set('key', 'value');
    await isNow('lost');
    const [lostAfterMs, lessWaitingMs] = [performance.now() - since, watch.stop()];
    expect(states.at(-1)).toEqual({ kind: 'lost', reason: 'timeout' });
    // Not sooner than an answer may take.
    expect(lostAfterMs).toBeGreaterThan(200);
    expect(lessWaitingMs).toBeLessThan(STALENESS_BOUND_MS + 500);
    // What comes too late is not taken for news of the next connection.
    await isNow('tracking');
    relay.release('feed');
    expect(await newsOf(() => redis.client.set('other', 'value'))).toEqual(['other']);
    feed.stop();
    await relay.stop();
  });

  it('says up to when all of it has come: when it last asked, not when it was answered', async () => {
    const relay = await RedisRelay.to(redis.port);
    follow(relay.url);
    await isNow('tracking');
    relay.hold('feed');
    await redis.client.set('key', 'value');
    await until('it was answered', () => (relay.held('feed').includes('pong') ? true : undefined));
    const askedBefore = performance.now();
    const before = heard.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([news, heard.length]).toEqual([[], before]);
    relay.release('feed');
    await until('it is heard', () => (heard.length > before ? true : undefined));
    expect(heard[before]).toBeLessThan(askedBefore);
    feed.stop();
    await relay.stop();
  });

  it('is not taken for lost while there is nothing to tell', async () => {
    follow(redis.url);
    await isNow('tracking');
    const pings = await redis.calls('ping');
    await until('it has asked often', async () => ((await redis.calls('ping')) > pings + 8 ? true : undefined));
    expect(states).toEqual([{ kind: 'tracking' }]);
  });

  it.each([
    ['CLIENT', ['-client'], 'NOPERM: its account lacks +client|id'],
    ['CLIENT TRACKING', ['-client|tracking'], 'NOPERM: its account lacks +client|tracking'],
    ['SUBSCRIBE', ['-subscribe'], 'NOPERM: its account lacks +subscribe'],
    ['the channel', ['resetchannels'], 'NOPERM'],
    ['PING', ['-ping'], 'NOPERM: its account lacks +ping'],
  ])('is refused to who has no right to %s, until the right is granted', async (_, taken, reason) => {
    await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@all', ...taken);
    follow(`redis://reader:secret@127.0.0.1:${redis.port}`);
    await isNow('refused');
    expect(states.at(-1)).toEqual({ kind: 'refused', reason });
    await redis.client.call('ACL', 'SETUSER', 'reader', '&*', '+@all');
    await isNow('tracking');
  });

  it('takes these rights and no more', async () => {
    const rights = ['+client|id', '+client|tracking', '+subscribe', '+ping', '&__redis__:invalidate'];
    await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~none', 'resetchannels', ...rights);
    follow(`redis://reader:secret@127.0.0.1:${redis.port}`);
    await isNow('tracking');
    expect(await newsOf(() => redis.client.set('key', 'value'))).toEqual(['key']);
    expect(states).toEqual([{ kind: 'tracking' }]);
  });

  it('stays refused when a Redis that refuses goes away', async () => {
    await redis.client.call('ACL', 'SETUSER', 'default', '-client|tracking');
    follow(redis.url);
    await isNow('refused');
    await redis.server?.stop('SIGKILL');
    redis = await redis.restart();
    await isNow('tracking');
    expect(states.map(({ kind }) => kind)).toEqual(['refused', 'tracking']);
  });
});

describe('a Redis', () => {
  it('that cannot do it refuses', async () => {
    const redis = await TestRedis.start('--rename-command', 'CLIENT', '');
    follow(redis.url);
    await isNow('refused');
    expect(states).toEqual([{ kind: 'refused', reason: 'ERR' }]);
    feed.stop();
    await redis.stop();
  });

  it('that is not there yet is followed as soon as it is', async () => {
    const before = await TestRedis.start();
    await before.server?.stop('SIGKILL');
    follow(before.url);
    await isNow('lost');
    expect(states).toEqual([{ kind: 'lost', reason: 'ECONNREFUSED' }]);
    const redis = await before.restart();
    await isNow('tracking');
    feed.stop();
    await redis.stop();
  });
});
