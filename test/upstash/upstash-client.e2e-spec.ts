import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { Redis as UpstashRedis } from '@upstash/redis';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const TOKEN = 'a+reader/s=token==';

describeOwn('the client of Upstash, as it is', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeAll(async () => {
    redis = await TestRedis.start();
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      PROXY_THREADS: 2,
      ACCESS_TOKEN: TOKEN,
      KEY_ALLOWLIST: 'user:*,list,large*',
      REDIS_COMMAND_TIMEOUT_MS: 4000,
    });
    await redis.client.mset({
      'user:1': 'one',
      'user:2': '{"name":"two"}',
      'user:3': '3',
      'user:ok': 'OK',
      secret: 's',
    });
    await redis.client.set('user:short', 'x', 'EX', 1000);
    await redis.client.rpush('list', 'a');
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  /** As in an edge function, with the defaults of the client. */
  const client = (url = proxy.url, token = TOKEN) => new UpstashRedis({ url, token });
  const failure = (reading: Promise<unknown>): Promise<string> =>
    reading.then(
      () => 'none',
      (error: unknown) => (error as Error).message,
    );

  it('reads values of Redis', async () => {
    const upstash = client();
    expect(await upstash.get('user:1')).toBe('one');
    // The client parses values as JSON by default.
    expect(await upstash.get('user:2')).toEqual({ name: 'two' });
    expect(await upstash.get('user:ok')).toBe('OK');
    expect(await upstash.get('user:none')).toBeNull();
    expect(await upstash.mget('user:1', 'user:none', 'user:3')).toEqual(['one', null, 3]);
    expect(await upstash.exists('user:1', 'user:none', 'user:1')).toBe(2);
    expect(await upstash.strlen('user:1')).toBe(3);
    expect(await upstash.getrange('user:1', 0, -2)).toBe('on');
    expect(await upstash.ttl('user:1')).toBe(-1);
    expect(await upstash.ttl('user:none')).toBe(-2);
    expect(await upstash.ttl('user:short')).toBeGreaterThan(800);
    expect(await upstash.pttl('user:short')).toBeGreaterThan(800_000);
    expect(await upstash.ping()).toBe('PONG');
    expect(await upstash.echo('é')).toBe('é');
  });

  it('pipelines concurrent commands automatically, each with its own result: value, error, null', async () => {
    const upstash = client();
    await redis.forgetCalls();
    const results = await Promise.all([
      upstash.get('user:1'),
      failure(upstash.get('secret')),
      upstash.get('user:none'),
      failure(upstash.get('list')),
      failure(upstash.set('user:1', 'x')),
      upstash.mget('user:3', 'user:1'),
      failure(upstash.hget('user:1', 'field')),
      failure(upstash.hscan('user:1', 0)),
    ]);
    expect(results).toEqual([
      'one',
      expect.stringContaining(': NOPERM '),
      null,
      expect.stringContaining(': WRONGTYPE '),
      expect.stringContaining(': READONLY '),
      [3, 'one'],
      expect.stringContaining(': WRONGTYPE '),
      expect.stringContaining('ERR HSCAN is not supported'),
    ]);
    expect((upstash as unknown as { pipelineCounter: number }).pipelineCounter).toBeLessThanOrEqual(2);
    expect(await redis.client.get('user:1')).toBe('one');
  });

  it('sends up to 1,000 automatically pipelined commands in a request, and more in the next', async () => {
    const keys = Array.from({ length: 1500 }, (_, i) => `large:${i}`);
    await redis.client.mset(keys.flatMap((key) => [key, `v${key}`]));
    const upstash = client();
    expect(await Promise.all(keys.map((key) => upstash.get(key)))).toEqual(keys.map((key) => `v${key}`));
  });

  it('reads hashes, lists, sets, sorted sets, bitmaps, positions and streams, with the second read from the cache', async () => {
    const { client: writer } = redis;
    await writer.hset('user:hash', { name: 'é', age: '42', nested: '{"a":1}' });
    await writer.rpush('user:list', 'a', 'b', '3');
    await writer.sadd('user:set', 'only');
    await writer.zadd('user:board', 1, 'a', 2.5, 'b', 'inf', 'c');
    await writer.geoadd('user:geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania');
    await writer.xadd('user:stream', '1-1', 'field', 'value');
    const upstash = client();
    const read = () =>
      Promise.all([
        upstash.hgetall('user:hash'),
        upstash.hget('user:hash', 'name'),
        upstash.hmget('user:hash', 'age', 'none'),
        upstash.hexists('user:hash', 'none'),
        upstash.hkeys('user:hash'),
        upstash.hlen('user:hash'),
        upstash.hgetall('user:none'),
        upstash.lrange('user:list', 0, -1),
        upstash.lindex('user:list', 1),
        upstash.lpos('user:list', 'b'),
        upstash.smembers('user:set'),
        upstash.sismember('user:set', 'only'),
        upstash.smismember('user:set', ['only', 'none']),
        upstash.zrange('user:board', 0, -1, { withScores: true }),
        upstash.zrange('user:board', '+inf', 2, { byScore: true, rev: true }),
        upstash.zscore('user:board', 'b'),
        upstash.zscore('user:board', 'none'),
        upstash.zmscore('user:board', ['a', 'none']),
        upstash.zrank('user:board', 'b'),
        upstash.zcount('user:board', '-inf', '+inf'),
        upstash.getbit('user:1', 1),
        upstash.bitcount('user:1', 0, -1),
        upstash.geopos('user:geo', 'none', 'Palermo'),
        upstash.geodist('user:geo', 'Palermo', 'Catania', 'KM'),
        upstash.xrange('user:stream', '-', '+'),
        upstash.type('user:board'),
        upstash.type('user:none'),
      ]);
    const expected = [
      { name: 'é', age: 42, nested: { a: 1 } },
      'é',
      { age: 42, none: null },
      0,
      ['name', 'age', 'nested'],
      3,
      null,
      ['a', 'b', 3],
      'b',
      1,
      ['only'],
      1,
      [1, 0],
      ['a', 1, 'b', 2.5, 'c', 'inf'],
      ['c', 'b'],
      2.5,
      null,
      [1, null],
      1,
      3,
      1,
      15,
      // The client leaves out members that do not exist.
      [{ lng: 13.361389338970184, lat: 38.1155563954963 }],
      166.2742,
      { '1-1': { field: 'value' } },
      'zset',
      'none',
    ];
    expect(await read()).toEqual(expected);
    await redis.forgetCalls();
    expect(await read()).toEqual(expected);
    expect(await redis.calls('hget')).toBe(0);
    expect(await redis.calls('zrange')).toBe(0);
  });

  it('receives the results of a transaction, or why it is discarded', async () => {
    const { client: writer } = redis;
    await writer.hset('user:hash', { name: 'é', age: '42', nested: '{"a":1}' });
    const upstash = client();
    expect(await upstash.multi().get('user:1').hget('user:hash', 'age').zscore('user:none', 'a').exec()).toEqual([
      'one',
      42,
      null,
    ]);
    const failed = upstash.multi().get('user:1').llen('user:1').exec({ keepErrors: true });
    expect(await failed).toEqual([{ result: 'one' }, { error: expect.stringMatching(/^WRONGTYPE /) }]);
    expect(await failure(upstash.multi().get('user:1').set('user:1', 'x').exec())).toMatch(
      /^EXECABORT Transaction discarded because of: READONLY /,
    );
  });

  it('supports explicit pipelines', async () => {
    const upstash = client();
    expect(await upstash.pipeline().get('user:1').strlen('user:1').exec()).toEqual(['one', 3]);
    expect(await failure(upstash.pipeline().get('user:1').del('user:1').exec())).toMatch(/Command 2 .*READONLY/);
  });

  it('receives errors of single commands without auto-pipelining', async () => {
    const upstash = new UpstashRedis({ url: proxy.url, token: TOKEN, enableAutoPipelining: false });
    expect(await upstash.get('user:1')).toBe('one');
    expect(await failure(upstash.set('user:1', 'x'))).toMatch(/^READONLY /);
    expect(await failure(upstash.get('list'))).toMatch(/^WRONGTYPE /);
    expect(await failure(upstash.keys('*'))).toMatch(/^ERR KEYS is not supported: /);
    expect(await failure(upstash.scan(0))).toMatch(/^ERR SCAN is not supported: /);
  });

  it('decodes text in any response encoding', async () => {
    const texts = ['', 'é 漢 😀', '"\\\u0000\u001f', 'x'.repeat(300_000)];
    for (const [i, text] of texts.entries()) {
      await redis.client.set(`user:text${i}`, text);
      for (const responseEncoding of ['base64', false] as const) {
        const upstash = new UpstashRedis({
          url: proxy.url,
          token: TOKEN,
          responseEncoding,
          automaticDeserialization: false,
        });
        expect(await upstash.get(`user:text${i}`)).toBe(text);
      }
    }
  });

  it('receives the exact bytes of a value in base64, which it decodes as UTF-8', async () => {
    const value = randomBytes(1000);
    await redis.client.set('user:binary', value);
    expect(await client().get('user:binary')).toBe(value.toString());
  });

  it('receives an error for an invalid token, and does not retry', async () => {
    const before = await counted('unauthorized');
    expect(await failure(client(proxy.url, 'guess').get('user:1'))).toMatch(/WRONGPASS/);
    expect(await counted('unauthorized')).toBe(before + 1);
  });

  it('reads cached values while Redis is silent, and receives errors for others', async () => {
    const upstash = client();
    expect(await upstash.get('user:1')).toBe('one');
    redis.server?.signal('SIGSTOP');
    try {
      const [cached, cold] = await Promise.all([upstash.get('user:1'), failure(upstash.get('user:cold'))]);
      expect([cached, cold]).toEqual(['one', expect.stringContaining(': TIMEOUT ')]);
    } finally {
      redis.server?.signal('SIGCONT');
    }
  });

  it('retries when a connection breaks', async () => {
    const sockets: Socket[] = [];
    const relay = createServer((client) => {
      sockets.push(client.on('error', () => undefined));
      if (sockets.length <= 2) client.once('data', () => client.destroy());
      else client.pipe(connect(Number(new URL(proxy.url).port), '127.0.0.1')).pipe(client);
    }).listen(0, '127.0.0.1');
    await once(relay, 'listening');
    const { port } = relay.address() as AddressInfo;
    expect(await client(`http://127.0.0.1:${port}`).get('user:1')).toBe('one');
    expect(sockets).toHaveLength(3);
    for (const socket of sockets) socket.destroy();
    relay.close();
    await once(relay, 'close');
  });

  async function counted(outcome: string): Promise<number> {
    const line = new RegExp(`requests_total\\{transport="upstash",outcome="${outcome}"\\} (\\d+)`);
    return Number(line.exec((await proxy.get('/metrics')).text)?.[1]);
  }
});
