import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/processes.ts';
import { RedisRelay } from '../../test/support/redis-relay.ts';
import { TestRedis } from '../../test/support/redis.ts';
import { Stopwatch } from '../../test/support/stopwatch.ts';
import { loadSettings } from '../config/load-settings.ts';
import { HEARTBEAT, STALENESS_BOUND_MS } from './invalidation-connection.ts';
import { type FeedState, InvalidationFeed, literalPrefixes } from './invalidation-feed.ts';
import { redisOptions } from '../redis/redis-options.ts';
import type { Heartbeat } from './subscriber-connection.ts';

const REFUSED_RETRY_MS = 50;
/** Many, of which none is missed: a feed is lost only when a test sees to it, however slow the machine is. */
const LENIENT: Heartbeat = { intervalMs: 20, maxOutstanding: 100_000 };
/** The connection is closed in an orderly way, or reset if Redis had not read the last PING. */
const CLOSED: FeedState = {
  kind: 'lost',
  reason: expect.stringMatching(/^(?:connection|ECONNRESET|EPIPE)$/) as unknown as string,
};

let feed: InvalidationFeed;
let states: FeedState[];
/** Number of states, the first ones, that a test has waited for. */
let passed: number;
/** Received messages: keys as binary strings, and `(flush)`. */
let messages: string[];
/** Times, by `performance.now()`, before which all writes had been received. */
let confirmedAt: number[];

function follow(
  url: string,
  settings: Readonly<Record<string, string>> = {},
  nodeId = '',
  heartbeat: Heartbeat = LENIENT,
): void {
  // The time to start ends with these.
  const loaded = loadSettings({ REDIS_URL: url, REDIS_COMMAND_TIMEOUT_MS: '60000', ...settings }, '/nowhere');
  feed = new InvalidationFeed(redisOptions(loaded.redis), loaded, nodeId, {
    refusedRetryMs: REFUSED_RETRY_MS,
    heartbeat,
  });
  states = [];
  passed = 0;
  messages = [];
  confirmedAt = [];
  feed.start({
    onInvalidation: (key) => messages.push(key.toString('latin1')),
    onFlush: () => messages.push('(flush)'),
    onHeartbeat: (ageMs) => confirmedAt.push(performance.now() - ageMs),
    onState: (state) => states.push(state),
  });
}

/** Waits for the next state of a kind, which may have passed already. */
const untilState = (kind: FeedState['kind']): Promise<FeedState> =>
  until(`the feed is ${kind}`, () => {
    const index = states.findIndex((state, i) => i >= passed && state.kind === kind);
    if (index === -1) return undefined;
    passed = index + 1;
    return states[index];
  });

describe('a feed of a cluster node', () => {
  let redis: TestRedis;

  beforeEach(async () => {
    redis = await TestRedis.start('--cluster-enabled', 'yes');
  });
  afterEach(async () => {
    feed.stop();
    await redis.stop();
  });

  it('tracks the node that CLUSTER SLOTS lists at the address, and no other one', async () => {
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
    await untilState('tracking');
  });

  it('tracks a node that refuses CLUSTER MYID', async () => {
    await redis.client.call('ACL', 'SETUSER', 'default', '-cluster|myid');
    follow(redis.url, {}, 'any');
    await untilState('tracking');
  });
});

describe('InvalidationFeed', () => {
  let redis: TestRedis;

  beforeEach(async () => {
    redis = await TestRedis.start();
  });
  afterEach(async () => {
    feed.stop();
    await redis.stop();
  });

  /** Returns the messages of a write, once all of them have arrived. */
  async function messagesAfter(write: () => Promise<unknown>): Promise<string[]> {
    messages = [];
    await write();
    await redis.client.set('the end', '');
    await until('the last write has arrived', () => (messages.at(-1) === 'the end' ? true : undefined));
    return messages.slice(0, -1);
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
    ['a shorter TTL', [['pexpire', 'key', '100000']], ['key']],
    ['RENAME', [['rename', 'key', 'other']], ['key', 'other']],
    ['COPY', [['copy', 'key', 'other']], ['other']],
    ['a transaction', [['multi'], ['set', 'key', 'a'], ['set', 'other', 'b'], ['exec']], ['key', 'other']],
    ['a script', [['eval', "redis.call('set', KEYS[1], 'a')", '1', 'key']], ['key']],
    [
      'a key of another database, without the database',
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
    await untilState('tracking');
    const received = await messagesAfter(async () => {
      for (const [command, ...args] of commands) await redis.client.call(command, ...args);
    });
    expect([...new Set(received)].sort()).toEqual(expected);
  });

  it('receives keys of arbitrary bytes', async () => {
    follow(redis.url);
    await untilState('tracking');
    const key = Buffer.from([0xff, 0, 0x0d, 0x0a, 0x80]);
    expect(await messagesAfter(() => redis.client.set(key, 'value'))).toEqual([key.toString('latin1')]);
  });

  it('receives a message when a key expires or is evicted', async () => {
    follow(redis.url);
    await untilState('tracking');
    await redis.client.set('mortal', 'value', 'PX', 20);
    await until('it has expired', () => (messages.filter((key) => key === 'mortal').length === 2 ? true : undefined));
    await redis.client.set('evicted', 'value');
    messages = [];
    await redis.client.config('SET', 'maxmemory-policy', 'allkeys-random');
    await redis.client.config('SET', 'maxmemory', '1mb');
    await redis.client.set('the end', 'value').catch(() => undefined);
    await until('it was evicted', () => (messages.includes('evicted') ? true : undefined));
  });

  it('with KEY_ALLOWLIST receives no messages of other keys, but flushes', async () => {
    follow(redis.url, { KEY_ALLOWLIST: 'user:*,page:?,the end' });
    await untilState('tracking');
    const received = messagesAfter(async () => {
      await redis.client.mset('user:1', '', 'page:12', '', 'users', '', 'secret', '');
      await redis.client.flushall();
    });
    expect(new Set(await received)).toEqual(new Set(['user:1', 'page:12', '(flush)']));
  });

  it('ignores messages that other clients publish on the same channel', async () => {
    follow(redis.url);
    await untilState('tracking');
    expect(await messagesAfter(() => redis.client.publish('__redis__:invalidate', 'key'))).toEqual([]);
  });

  it('enables tracking again on a new connection after the old one was killed', async () => {
    follow(redis.url);
    await untilState('tracking');
    expect(await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(1);
    await untilState('lost');
    await untilState('tracking');
    expect(states).toEqual([{ kind: 'tracking' }, CLOSED, { kind: 'tracking' }]);
    expect(await messagesAfter(() => redis.client.set('key', 'value'))).toEqual(['key']);
  });

  it('is lost within the bound when the connection stalls without being closed', async () => {
    const relay = await RedisRelay.to(redis.port);
    follow(relay.url, {}, '', HEARTBEAT);
    await untilState('tracking');
    // At most one PING is outstanding, so that the feed is not about to be lost already.
    await until('a heartbeat', () => performance.now() - (confirmedAt.at(-1) ?? 0) < 100 || undefined);
    passed = states.length;
    relay.hold('feed');
    const [since, watch] = [performance.now(), new Stopwatch()];
    const written = redis.client.set('key', 'value');
    const lost = await untilState('lost');
    const [lostAfterMs, measuredMs] = [performance.now() - since, watch.stop()];
    await written;
    expect(lost).toEqual({ kind: 'lost', reason: 'timeout' });
    // Not before the deadline of a PONG.
    expect(lostAfterMs).toBeGreaterThan(200);
    expect(measuredMs).toBeLessThan(STALENESS_BOUND_MS + 500);
    // Late messages of the old connection are ignored.
    await untilState('tracking');
    relay.release('feed');
    await until('a later write has arrived', async () => {
      // Again and again: on a busy machine the feed may be lost once more.
      await redis.client.set('other', 'value');
      return messages.includes('other') || undefined;
    });
    expect(messages).not.toContain('key');
    feed.stop();
    await relay.stop();
  });

  it('confirms all writes before the last PING was sent, not before its PONG', async () => {
    const relay = await RedisRelay.to(redis.port);
    follow(relay.url);
    await untilState('tracking');
    relay.hold('feed');
    await redis.client.set('key', 'value');
    await until('the PONG is held back', () => (relay.held('feed').includes('pong') ? true : undefined));
    const pongHeldAt = performance.now();
    const before = confirmedAt.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect([messages, confirmedAt.length]).toEqual([[], before]);
    relay.release('feed');
    await until('it is confirmed', () => (confirmedAt.length > before ? true : undefined));
    expect(confirmedAt[before]).toBeLessThan(pongHeldAt);
    feed.stop();
    await relay.stop();
  });

  it('is not lost while there are no writes', async () => {
    follow(redis.url);
    await untilState('tracking');
    const before = performance.now();
    await until('PINGs that were sent since are confirmed', () => {
      return confirmedAt.filter((at) => at > before).length > 8 || undefined;
    });
    expect(states).toEqual([{ kind: 'tracking' }]);
  });

  it.each([
    ['CLIENT', ['-client'], 'NOPERM: the account lacks +client|id'],
    ['CLIENT TRACKING', ['-client|tracking'], 'NOPERM: the account lacks +client|tracking'],
    ['SUBSCRIBE', ['-subscribe'], 'NOPERM: the account lacks +subscribe'],
    ['the channel', ['resetchannels'], 'NOPERM'],
    ['PING', ['-ping'], 'NOPERM: the account lacks +ping'],
  ])('is refused without the permission to %s, until it is granted', async (_, revoked, reason) => {
    await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@all', ...revoked);
    follow(`redis://reader:secret@127.0.0.1:${redis.port}`);
    expect(await untilState('refused')).toEqual({ kind: 'refused', reason });
    await redis.client.call('ACL', 'SETUSER', 'reader', '&*', '+@all');
    const granted = performance.now();
    await until('a heartbeat', () => (confirmedAt.at(-1) ?? 0) > granted || undefined);
    expect(states.at(-1)).toEqual({ kind: 'tracking' });
  });

  it('needs these permissions and no others', async () => {
    const permissions = ['+client|id', '+client|tracking', '+subscribe', '+ping', '&__redis__:invalidate'];
    await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~none', 'resetchannels', ...permissions);
    follow(`redis://reader:secret@127.0.0.1:${redis.port}`);
    await untilState('tracking');
    expect(await messagesAfter(() => redis.client.set('key', 'value'))).toEqual(['key']);
    expect(states).toEqual([{ kind: 'tracking' }]);
  });

  it('stays refused if a Redis that refused becomes unreachable', async () => {
    await redis.client.call('ACL', 'SETUSER', 'default', '-client|tracking');
    follow(redis.url);
    await untilState('refused');
    await redis.server?.stop('SIGKILL');
    redis = await redis.restart();
    await untilState('tracking');
    expect(states.map(({ kind }) => kind)).toEqual(['refused', 'tracking']);
  });
});

describe('a feed of a Redis', () => {
  it('without CLIENT TRACKING is refused', async () => {
    const redis = await TestRedis.start('--rename-command', 'CLIENT', '');
    follow(redis.url);
    await untilState('refused');
    expect(states).toEqual([{ kind: 'refused', reason: 'ERR' }]);
    feed.stop();
    await redis.stop();
  });

  it('that is not running yet starts tracking once it runs', async () => {
    const before = await TestRedis.start();
    await before.server?.stop('SIGKILL');
    follow(before.url);
    await untilState('lost');
    expect(states).toEqual([{ kind: 'lost', reason: 'ECONNREFUSED' }]);
    const redis = await before.restart();
    await untilState('tracking');
    feed.stop();
    await redis.stop();
  });
});

describe('literalPrefixes', () => {
  it.each([
    ['*', []],
    ['user:*', ['user:']],
    ['user:*,*', []],
    ['user:*,page:[0-9]*,exact', ['exact', 'page:', 'user:']],
    ['user:*,user:1*,us*', ['us']],
    ['a*,a*', ['a']],
    ['?a', []],
    ['\\*[*]x[ab]*', ['**x']],
    ['a\\,b*', ['a,b']],
  ])('%s', (patterns, prefixes) => {
    expect(literalPrefixes(patterns).map(String)).toEqual(prefixes);
  });
});
