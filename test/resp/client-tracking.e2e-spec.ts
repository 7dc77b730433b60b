import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { BOUND_MS, holdTracking, metric, untilCoherence, untilInvalidated } from '../support/coherence.ts';
import { eventually } from '../support/eventually.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { type Settings, TestProxy } from '../support/proxy.ts';
import { RedisRelay } from '../support/redis-relay.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';
import { BUSY_MS, Stopwatch } from '../support/stopwatch.ts';

const SETTINGS: Settings = {
  RESP_PORT: 0,
  CACHE_COHERENCE: 'tracking',
  CACHE_TTL_MS: 3_600_000,
  // The tests control all delays, because the machine may be busy.
  REDIS_COMMAND_TIMEOUT_MS: 60_000,
};
const PUSH_ALL = '>2\r\n$10\r\ninvalidate\r\n_\r\n';

let redis: TestRedis;
let relay: RedisRelay;
let proxy: TestProxy;
let sockets: RespSocket[];

beforeEach(() => void (sockets = []));
afterEach(() => {
  for (const { socket } of sockets) socket.destroy();
});

async function start(settings: Settings = {}): Promise<void> {
  redis = await TestRedis.start();
  relay = await RedisRelay.to(redis.port);
  proxy = await TestProxy.start({ ...SETTINGS, REDIS_URL: relay.url, ...settings });
  if ((settings.CACHE_COHERENCE ?? 'tracking') === 'tracking') await untilCoherence(proxy, 'tracking');
}

/**
 * Starts a proxy that neither loses the invalidation stream nor expects a heartbeat: either would be a message to clients that
 * track keys.
 */
async function startHeld(settings: Settings = {}): Promise<void> {
  await start(settings);
  const key = 'public:held';
  await redis.client.set(key, '');
  await holdTracking(proxy, key);
}

async function stop(): Promise<void> {
  await proxy?.stop();
  await relay?.stop();
  await redis?.stop();
}

/** Opens a connection over RESP3, and sends CLIENT TRACKING with these arguments, if any. */
async function open(...tracking: string[]): Promise<RespSocket> {
  const socket = await connect();
  socket.send(request('HELLO', '3'));
  await socket.replies(1);
  if (tracking.length > 0) await socket.send(request('CLIENT', 'TRACKING', ...tracking)).expect('+OK\r\n');
  return socket;
}

async function connect(): Promise<RespSocket> {
  const socket = await RespSocket.open(respPort(proxy));
  sockets.push(socket);
  return socket;
}

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const push = (...keys: string[]): string => `>2\r\n${bulk('invalidate')}*${keys.length}\r\n${keys.map(bulk).join('')}`;

/** Waits until the proxy has passed on all writes so far: a client of its own that tracks all keys has received the last one. */
async function untilPassedOn(): Promise<void> {
  const probe = await open('ON', 'BCAST', 'PREFIX', 'probe:');
  const key = `probe:${Math.random()}`;
  await redis.client.set(key, '');
  // Behind messages about earlier writes, as a flush.
  await probe.until(push(key));
  probe.socket.destroy();
}

describeOwn('CLIENT TRACKING', () => {
  beforeAll(() => startHeld());
  beforeEach(async () => {
    await redis.client.flushall();
    await redis.client.mset('k', 'old', 'other', 'value');
    await untilPassedOn();
  });
  afterAll(stop);

  it('pushes the invalidation of a key that the client has read, from Redis or from the cache', async () => {
    const client = await open('ON');
    for (const [value, next] of [
      ['old', 'new'],
      ['new', 'newer'],
    ]) {
      await client.send(request('GET', 'k'), request('GET', 'k')).expect(bulk(value).repeat(2));
      await redis.client.set('k', next);
      await client.expect(push('k'));
    }
    await redis.client.del('k');
    await client.expect(push('k'));
  });

  it.each([
    ['MGET', ['MGET', 'other', 'k']],
    ['STRLEN', ['STRLEN', 'k']],
    ['PTTL', ['PTTL', 'k']],
    ['an inline GET', ['GET', 'k']],
    ['HGETALL of a missing key', ['HGETALL', 'k']],
    ['ZRANGE of a key of another type', ['ZRANGE', 'k', '0', '-1', 'WITHSCORES']],
    ['TYPE', ['TYPE', 'k']],
    ['EXISTS', ['EXISTS', 'other', 'k']],
  ])('%s is tracked as well', async (_, command) => {
    const client = await open('ON');
    client.send(`${command.join(' ')}\r\n`);
    await client.replies(1);
    await redis.client.set('k', 'new');
    await client.expect(push('k'));
  });

  it('pushes nothing about keys that the client has not read', async () => {
    const client = await open('ON');
    await client.send(request('GET', 'other')).expect(bulk('value'));
    await redis.client.set('k', 'new');
    await untilPassedOn();
    await client.send(request('PING')).expect('+PONG\r\n');
  });

  it('pushes with BCAST what was not read, with one of the prefixes', async () => {
    const client = await open('ON', 'BCAST', 'PREFIX', 'user:', 'PREFIX', 'item:');
    const all = await open('ON', 'BCAST', 'NOLOOP');
    await redis.client.set('user:1', 'a');
    await all.expect(push('user:1'));
    await redis.client.set('users', 'a');
    await all.expect(push('users'));
    await redis.client.set('item:1', 'a');
    await client.expect(push('user:1') + push('item:1'));
  });

  it('does not start to track keys if the prefixes are too many', async () => {
    const client = await open();
    const prefixes = Array.from({ length: 129 }, (_, i) => ['PREFIX', `${i}:`]).flat();
    client.send(request('CLIENT', 'TRACKING', 'ON', 'BCAST', ...prefixes), request('CLIENT', 'GETREDIR'));
    expect(await client.replies(2)).toMatch(/^-ERR a client can track up to 128 prefixes .*\r\n:-1\r\n$/);
  });

  it('with OPTIN tracks the command or transaction after CLIENT CACHING YES only', async () => {
    const client = await open('ON', 'OPTIN');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    await redis.client.set('k', 'new');
    await untilPassedOn();
    client.send(request('CLIENT', 'CACHING', 'YES'), request('GET', 'k'), request('GET', 'other'));
    await client.expect(`+OK\r\n${bulk('new')}${bulk('value')}`);
    await redis.client.set('other', 'new');
    await redis.client.set('k', 'newer');
    await client.expect(push('k'));
    client.send(request('CLIENT', 'CACHING', 'YES'), request('MULTI'), request('GET', 'other'), request('GET', 'x'));
    client.send(request('EXEC'), request('GET', 'y'));
    await client.expect(`+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n${bulk('new')}_\r\n_\r\n`);
    await redis.client.set('y', 'new');
    await redis.client.mset('x', 'new', 'other', 'newer');
    // In one message or two.
    await until('both keys', () => ['other', 'x'].every((key) => client.received.includes(bulk(key))) || undefined);
    expect(client.received).not.toContain(bulk('y'));
  });

  it('with OPTOUT tracks everything but the command after CLIENT CACHING NO', async () => {
    const client = await open('ON', 'OPTOUT');
    client.send(request('GET', 'k'), request('CLIENT', 'CACHING', 'NO'), request('GET', 'other'));
    await client.expect(`${bulk('old')}+OK\r\n${bulk('value')}`);
    await redis.client.set('other', 'new');
    await redis.client.set('k', 'new');
    await client.expect(push('k'));
  });

  it.each([
    ['CLIENT TRACKING OFF', request('CLIENT', 'TRACKING', 'OFF')],
    ['RESET', request('RESET')],
    ['HELLO 2', request('HELLO', '2')],
  ])('ends with %s', async (_, command) => {
    const client = await open('ON');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    client.send(command);
    await client.replies(1);
    await redis.client.set('k', 'new');
    await untilPassedOn();
    await client.send(request('PING')).expect('+PONG\r\n');
  });

  it('is counted while clients are connected, in metrics and INFO', async () => {
    await eventually(() => metric(proxy, 'tracking_clients'), 0);
    const client = await open('ON');
    expect(await metric(proxy, 'tracking_clients')).toBe(1);
    client.send(request('INFO', 'clients'));
    expect(await client.replies(1)).toContain('tracking_clients:1\r\n');
    const pushes = await metric(proxy, 'tracking_pushes_total');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    await redis.client.set('k', 'new');
    await client.expect(push('k'));
    expect(await metric(proxy, 'tracking_pushes_total')).toBe(pushes + 1);
    client.socket.destroy();
    await eventually(() => metric(proxy, 'tracking_clients'), 0);
  });

  it('pushes at once while a load is in flight, and again behind the old reply', async () => {
    const client = await open('ON');
    const before = await metric(proxy, 'coherence_invalidations_total');
    relay.hold('data');
    client.send(request('GET', 'k'), request('ECHO', 'next'));
    await until('Redis has read it', () => relay.held('data').includes('old') || undefined);
    await redis.client.set('k', 'new');
    await untilInvalidated(proxy, before);
    await client.expect(push('k'));
    relay.release('data');
    await client.expect(`${bulk('old')}${bulk('next')}${push('k')}`);
    await client.send(request('GET', 'k')).expect(bulk('new'));
  });

  it('invalidates everything after FLUSHALL', async () => {
    const client = await open('ON');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    await redis.client.flushall();
    await client.expect(push('k') + PUSH_ALL);
    await client.send(request('GET', 'k')).expect('_\r\n');
  });

  it('invalidates everything when the stream is lost, keeps clients from caching meanwhile, and then goes on', async () => {
    const client = await open('ON');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    relay.refusesFeeds = true;
    relay.reset('feed');
    await client.expect(push('k') + PUSH_ALL);
    await client.send(request('GET', 'k'), request('PING')).expect(`${bulk('old')}${push('k')}+PONG\r\n`);
    const other = await open();
    other.send(request('CLIENT', 'TRACKING', 'ON'));
    expect(await other.replies(1)).toMatch(/^-ERR CLIENT TRACKING is not available now: /);
    relay.refusesFeeds = false;
    await untilCoherence(proxy, 'tracking');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    await redis.client.set('k', 'new');
    await client.expect(push('k'));
  });

  it('rueidis connects with its defaults, and its client-side cache receives invalidations', async () => {
    const client = await connect();
    client.send(
      '*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n*4\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\nON\r\n$5\r\nOPTIN\r\n',
      '*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$8\r\nLIB-NAME\r\n$7\r\nrueidis\r\n',
      '*4\r\n$6\r\nCLIENT\r\n$7\r\nSETINFO\r\n$7\r\nLIB-VER\r\n$6\r\n1.0.76\r\n',
    );
    const [hello, ...rest] = [await client.replies(1), await client.replies(3)];
    expect(hello).toMatch(/^%7\r\n.*\$5\r\nproto\r\n:3\r\n/s);
    expect(rest).toEqual(['+OK\r\n+OK\r\n+OK\r\n']);
    const read = (key: string): string =>
      '*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n*1\r\n$5\r\nMULTI\r\n' +
      `*2\r\n$4\r\nPTTL\r\n${bulk(key)}*2\r\n$3\r\nGET\r\n${bulk(key)}*1\r\n$4\r\nEXEC\r\n`;
    const queued = '+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n';
    await client.send(read('k')).expect(`${queued}:-1\r\n${bulk('old')}`);
    await redis.client.set('k', 'new', 'PX', 999_999);
    await client.expect(push('k'));
    client.send(read('k'));
    expect(await client.replies(5)).toMatch(
      /^\+OK\r\n\+OK\r\n\+QUEUED\r\n\+QUEUED\r\n\*2\r\n:\d{6}\r\n\$3\r\nnew\r\n$/,
    );
    await client.send(read('none')).expect(`${queued}:-2\r\n_\r\n`);
    // Keys that a client reads in an MGET are rewritten to one PTTL each, and the MGET.
    client.send(request('CLIENT', 'CACHING', 'YES'), request('MULTI'), request('PTTL', 'k'), request('PTTL', 'other'));
    client.send(request('MGET', 'k', 'other'), request('EXEC'));
    await client.replies(6);
    await redis.client.set('other', 'new');
    await client.expect(push('other'));
  });

  it('pushes leave within the bound of the proxy', async () => {
    const client = await open('ON');
    const delaysMs: number[] = [];
    for (let i = 0; i < 100; i++) {
      client.send(request('GET', 'k'));
      await client.replies(1);
      const startedAt = performance.now();
      await redis.client.set('k', String(i));
      await client.expect(push('k'));
      delaysMs.push(performance.now() - startedAt);
    }
    // A busy machine may delay a few of them.
    delaysMs.sort((a, b) => a - b);
    expect(delaysMs[90]).toBeLessThan(BOUND_MS);
    expect(delaysMs[99]).toBeLessThan(BOUND_MS + BUSY_MS);
  });
});

describeOwn('the bound of CLIENT TRACKING', () => {
  beforeEach(() => startHeld({ PROXY_THREADS: 2 }));
  afterEach(stop);

  it('holds when the invalidation stream stalls: everything is invalidated', async () => {
    await redis.client.set('k', 'old');
    await untilPassedOn();
    const client = await open('ON');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    relay.hold('feed');
    await redis.client.set('k', 'new');
    await until('Redis has sent the invalidation', () => relay.held('feed').includes('k') || undefined);
    expect(client.received).toBe('');
    // The clock has stood still since the write.
    const watch = new Stopwatch();
    await proxy.startClock();
    await client.expect(push('k') + PUSH_ALL);
    expect(watch.stop()).toBeLessThan(BOUND_MS + BUSY_MS);
  });

  it('reaches the clients of all threads', async () => {
    await redis.client.set('k', 'old');
    await untilPassedOn();
    const clients = await Promise.all(Array.from({ length: 20 }, () => open('ON')));
    for (const client of clients) await client.send(request('GET', 'k')).expect(bulk('old'));
    await eventually(() => metric(proxy, 'tracking_clients'), 20);
    await redis.client.set('k', 'new');
    for (const client of clients) await client.expect(push('k'));
  });

  it('survives the crash of a thread, whose clients no longer count', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => open('ON', 'BCAST')));
    await proxy.inject(0, 'terminate');
    await until('the clients of one thread are gone', async () => {
      const left = clients.filter(({ socket }) => !socket.destroyed);
      return left.length < 20 && (await metric(proxy, 'tracking_clients').catch(() => -1)) === left.length
        ? true
        : undefined;
    });
    await redis.client.set('k', 'new');
    for (const client of clients) if (!client.socket.destroyed) await client.expect(push('k'));
    await proxy.ready();
  });
});

describeOwn('clients that track keys', () => {
  afterEach(stop);

  it('are never notified of keys that they may not read', async () => {
    await startHeld({ KEY_ALLOWLIST: 'public:*,*:shared' });
    const client = await open('ON', 'BCAST');
    await redis.client.mset('secret', 'a', 'public:a', 'a', 'b:shared', 'a', 'c:hidden', 'a');
    await redis.client.set('public:end', 'a');
    await until('the last push', () => client.received.endsWith(bulk('public:end')) || undefined);
    expect(client.received).toContain(bulk('b:shared'));
    expect(client.received).not.toMatch(/secret|hidden/);
  });

  it('must not cache an expired value that is served because Redis is unavailable', async () => {
    await startHeld({ CACHE_TTL_MS: 50, CACHE_STALE_IF_ERROR_MS: 60_000 });
    await redis.client.set('k', 'old');
    await untilPassedOn();
    const client = await open('ON');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    await proxy.advance(100);
    // Unlike a time-out, this cannot fail an earlier read.
    await redis.client.call('ACL', 'SETUSER', 'default', '-get');
    await client
      .send(request('GET', 'k'), request('PING'))
      .expect(`${push('k', 'k')}${PUSH_ALL}${bulk('old')}+PONG\r\n${PUSH_ALL}`);
  });

  it('receive the same messages with PROXY_MODE=sequential', async () => {
    await startHeld({ PROXY_MODE: 'sequential' });
    await redis.client.set('k', 'old');
    await untilPassedOn();
    const client = await open('ON');
    await client.send(request('GET', 'k')).expect(bulk('old'));
    await redis.client.set('k', 'new');
    await client.expect(push('k'));
    relay.hold('data');
    client.send(request('GET', 'k'), request('GET', 'k'));
    await until('Redis has read it', () => relay.held('data').includes('new') || undefined);
    await redis.client.set('k', 'newer');
    await client.expect(push('k'));
    relay.release('data');
    await client.expect(`${bulk('new')}${push('k')}${bulk('newer')}`);
    relay.refusesFeeds = true;
    relay.reset('feed');
    await client.expect(push('k', 'k', 'k') + PUSH_ALL);
    await client.send(request('GET', 'k'), request('PING')).expect(`${bulk('newer')}${push('k')}+PONG\r\n`);
  });

  it('are disconnected if they do not read 1 MiB of pushes, with a log line and a metric', async () => {
    await startHeld();
    const client = await open('ON', 'BCAST');
    client.socket.pause();
    const name = 'n'.repeat(1000);
    await until('the client is disconnected', async () => {
      const writes = Array.from({ length: 100 }, (_, i) => redis.client.set(`${name}${i}`, ''));
      await Promise.all(writes);
      return (await metric(proxy, 'tracking_disconnections_total')) === 1 || undefined;
    });
    await eventually(
      () => proxy.log().filter(({ context }) => context === 'ClientTracking'),
      [
        expect.objectContaining({
          level: 'warn',
          message: expect.stringMatching(/^client 127\.0\.0\.1:\d+ disconnected/),
        }),
      ],
    );
    await eventually(() => metric(proxy, 'tracking_clients'), 0);
  });

  it.each([
    ['CACHE_COHERENCE=ttl', { CACHE_COHERENCE: 'ttl' }, ['HELLO', '3'], ['ON'], /set CACHE_COHERENCE=tracking\r\n$/],
    ['RESP2', {}, ['PING'], ['ON'], /requires RESP3 here, .*: send HELLO 3 first\r\n$/],
    ['REDIRECT', {}, ['HELLO', '3'], ['ON', 'REDIRECT', '1'], /REDIRECT is not supported: .*omit REDIRECT\r\n$/],
  ])('receive an error that says what to do: %s', async (_, settings, before, args, error) => {
    await start(settings);
    const client = await connect();
    client.send(request(...before));
    await client.replies(1);
    client.send(request('CLIENT', 'TRACKING', ...args));
    expect(await client.replies(1)).toMatch(error);
    await client.send(request('CLIENT', 'TRACKING', 'OFF')).expect('+OK\r\n');
    expect((await proxy.get('/metrics')).text).toMatch(
      /commands_refused_total\{transport="resp",command="client\|tracking"\} 1/,
    );
  });
});

/** Requests over RESP3 to which Redis and the proxy must send the same replies. */
const SAME_REPLIES: readonly string[] = [
  ...['TRACKINGINFO', 'GETREDIR', 'CACHING', 'CACHING yes', 'CACHING no', 'CACHING maybe', 'CACHING yes x'],
  ...['TRACKING', 'TRACKING on', 'TRACKINGINFO', 'GETREDIR', 'CACHING yes', 'CACHING no', 'CACHING maybe'],
  ...['TRACKING maybe', 'TRACKING on x', 'TRACKING on REDIRECT', 'TRACKING on REDIRECT x', 'TRACKING on PREFIX'],
  ...['TRACKING on PREFIX a', 'TRACKING on OPTIN OPTOUT', 'TRACKING on BCAST', 'TRACKING on BCAST OPTIN'],
  ...['TRACKING off', 'TRACKING on BCAST OPTIN', 'TRACKING on BCAST OPTOUT', 'TRACKING on OPTIN OPTOUT'],
  ...[
    'TRACKING on BCAST PREFIX a PREFIX ab',
    'TRACKING on BCAST PREFIX ab PREFIX a',
    'TRACKING on BCAST PREFIX a PREFIX a',
  ],
  ...['TRACKINGINFO', 'TRACKING on BCAST PREFIX b PREFIX a NOLOOP', 'TRACKINGINFO', 'TRACKING on BCAST PREFIX ab'],
  ...['TRACKING on BCAST PREFIX c', 'TRACKINGINFO', 'TRACKING on BCAST', 'TRACKINGINFO', 'TRACKING on BCAST PREFIX d'],
  ...['TRACKING on', 'TRACKING on OPTIN', 'CACHING yes', 'TRACKING off BCAST PREFIX a NOLOOP', 'TRACKINGINFO'],
  ...['TRACKING ON OPTIN NOLOOP', 'TRACKINGINFO', 'CACHING no', 'CACHING YES', 'TRACKINGINFO', 'GETREDIR'],
  ...['TRACKING on OPTOUT', 'TRACKING on OPTIN', 'TRACKINGINFO', 'TRACKING on', 'TRACKINGINFO', 'TRACKING off'],
  ...['TRACKING on OPTOUT', 'CACHING yes', 'CACHING no', 'TRACKINGINFO', 'TRACKING on OPTIN', 'TRACKINGINFO x'],
];

describeOwn('Redis and the proxy', () => {
  beforeAll(() => startHeld());
  afterAll(stop);

  it('send the same replies to CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR', async () => {
    const [expected, found] = await both(async (socket) => {
      const replies: string[][] = [];
      for (const text of SAME_REPLIES) {
        socket.send(request('CLIENT', ...text.split(' ')));
        replies.push([text, await socket.replies(1)]);
      }
      return replies;
    });
    expect(found).toEqual(expected);
  });

  it.each([
    ['ON', 't', '0'],
    ['ON BCAST', 'tB', '0'],
    ['OFF', 'N', '-1'],
  ])('describe a client with CLIENT TRACKING %s the same way', async (options, flags, redirect) => {
    const [expected, found] = await both(async (socket) => {
      socket.send(request('CLIENT', 'TRACKING', ...options.split(' ')), request('CLIENT', 'INFO'));
      const info = await socket.replies(2);
      return ['flags', 'redir', 'resp'].map((name) => new RegExp(` ${name}=(\\S+)`).exec(info)?.[1]);
    });
    expect(found).toEqual([flags, redirect, '3']);
    expect(found).toEqual(expected);
  });

  /** Calls a function with a connection over RESP3 to Redis, and with one to the proxy. */
  async function both<T>(run: (socket: RespSocket) => Promise<T>): Promise<T[]> {
    return Promise.all(
      [redis.port, respPort(proxy)].map(async (port) => {
        const socket = await RespSocket.open(port);
        sockets.push(socket);
        socket.send(request('HELLO', '3'), request('ECHO', 'the end'));
        await socket.until('$7\r\nthe end\r\n');
        return run(socket);
      }),
    );
  }
});
