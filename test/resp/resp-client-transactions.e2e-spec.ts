import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

const run = promisify(execFile);

/** A client library of another language. Its program receives the port as argument and output JSON. */
interface Library {
  readonly name: string;
  readonly debianPackage: string;
  readonly command: readonly string[];
  /** Program that fails if the library is not installed. */
  readonly probe: string;
  readonly program: string;
  readonly output: unknown;
}

const PYTHON = `
import redis, json, sys
client = redis.Redis(port=int(sys.argv[1]), decode_responses=True)
pipeline = client.pipeline()
pipeline.get('key').mget('key', 'none').exists('key', 'none').ttl('key').type('list')
found = [pipeline.execute()]
pipeline.get('key').set('key', 'x')
try: pipeline.execute()
except redis.exceptions.RedisError as error: found.append(type(error).__name__)
pipeline.get('key').get('list')
found.append([str(each)[:9] for each in pipeline.execute(raise_on_error=False)])
with client.pipeline() as watching:
    watching.watch('key')
    watching.get('key')
    watching.multi()
    watching.get('key')
    found.append(watching.execute())
found.append(client.pipeline(transaction=False).get('key').execute())
found.append(client.get('key'))
def queries(target):
    target.hgetall('hash'); target.hmget('hash', 'a', 'none'); target.lrange('list', 0, -1); target.smembers('set')
    target.zrange('zset', 0, -1, withscores=True); target.zscore('zset', 'b'); target.xrange('stream'); target.hgetall('none')
    return target
found.append([sorted(each) if isinstance(each, set) else each for each in queries(client.pipeline()).execute()])
found.append([client.hgetall('hash'), client.lindex('list', 0), client.zrevrank('zset', 'a'), client.hget('none', 'a')])
try: client.hgetall('list')
except redis.exceptions.ResponseError as error: found.append(str(error)[:9])
info = client.client_info() if hasattr(client, 'client_info') else {'multi': -1}
found.append(info['multi'])
print(json.dumps(found))`;

const PHP = `
$client = new Redis();
$client->connect('127.0.0.1', (int) $argv[1]);
$found = [$client->multi()->get('key')->mget(['key', 'none'])->exists('key')->ttl('key')->exec()];
try { $client->multi()->get('key')->set('key', 'x'); }
catch (RedisException $error) { $found[] = substr($error->getMessage(), 0, 8); }
$client->discard();
$found[] = $client->multi()->get('key')->get('list')->exec();
$client->watch('key');
$client->unwatch();
$client->multi()->get('key');
$client->discard();
$found[] = $client->multi(Redis::PIPELINE)->get('key')->get('none')->exec();
$found[] = $client->get('key');
$found[] = $client->multi()->hGetAll('hash')->hMGet('hash', ['a', 'none'])->lRange('list', 0, -1)->sMembers('set')
  ->zRange('zset', 0, -1, true)->zScore('zset', 'b')->exec();
$found[] = [$client->hGetAll('hash'), $client->lIndex('list', 0), $client->zRevRank('zset', 'a'), $client->hGet('none', 'a')];
echo json_encode($found);`;

const RUBY = `
require 'redis'
require 'json'
client = Redis.new(port: ARGV[0].to_i, timeout: 60)
found = [client.multi { |each| each.get('key'); each.mget('key', 'none'); each.exists('key', 'none'); each.ttl('key') }]
begin
  client.multi { |each| each.get('key'); each.set('key', 'x') }
rescue Redis::CommandError => error
  found << error.message[0, 8]
end
found << client.watch('key') { client.multi { |each| each.get('key') } }
found << client.pipelined { |each| each.get('key'); each.get('none') }
found << client.get('key')
found << client.multi do |each|
  each.hgetall('hash'); each.hmget('hash', 'a', 'none'); each.lrange('list', 0, -1); each.smembers('set')
  each.zrange('zset', 0, -1, with_scores: true); each.zscore('zset', 'b')
end
found << [client.hgetall('hash'), client.lindex('list', 0), client.zrevrank('zset', 'a'), client.hget('none', 'a')]
puts found.to_json`;

const HASH = { a: '1', b: '2' };
const SCORES = [
  ['a', 1.5],
  ['b', 2],
];

const LIBRARIES: readonly Library[] = [
  {
    ...{
      name: 'redis-py',
      debianPackage: 'python3-redis',
      command: ['/usr/bin/python3', '-c'],
      probe: 'import redis',
    },
    program: PYTHON,
    output: [
      ['value', ['value', null], 1, -1, 'list'],
      'ReadOnlyError',
      ['value', 'WRONGTYPE'],
      ...[['value'], ['value'], 'value'],
      [HASH, ['1', null], ['a'], ['m'], SCORES, 2, [], {}],
      [HASH, 'a', 1, null],
      'WRONGTYPE',
      -1,
    ],
  },
  {
    ...{ name: 'phpredis', debianPackage: 'php-redis', command: ['php', '-r'], probe: 'new Redis();' },
    program: PHP,
    output: [
      ['value', ['value', false], 1, -1],
      'READONLY',
      ['value', false],
      ['value', false],
      'value',
      [HASH, { a: '1', none: false }, ['a'], ['m'], { a: 1.5, b: 2 }, 2],
      [HASH, 'a', 1, false],
    ],
  },
  {
    ...{ name: 'redis-rb', debianPackage: 'ruby-redis', command: ['ruby', '-e'], probe: "require 'redis'" },
    program: RUBY,
    output: [
      ['value', ['value', null], 1, -1],
      'READONLY',
      ['value'],
      ['value', null],
      'value',
      [HASH, ['1', null], ['a'], ['m'], SCORES, 2],
      [HASH, 'a', 1, null],
    ],
  },
];

describeOwn('transactions of client libraries', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let port: number;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset('key', 'value', 'other', 'second');
    await redis.client.rpush('list', 'a');
    await redis.client.hset('hash', HASH);
    await redis.client.sadd('set', 'm');
    await redis.client.zadd('zset', 1.5, 'a', 2, 'b');
    proxy = await TestProxy.start({ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 1 });
    port = respPort(proxy);
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  for (const { name, debianPackage, command, probe, program, output } of LIBRARIES) {
    const [interpreter, ...flags] = command;
    const installed = spawnSync(interpreter, [...flags, probe]).status === 0;
    if (!installed) console.warn(`${name} is not tested: the Debian package ${debianPackage} is not installed`);
    (installed ? it : it.skip)(`${name}: MULTI, its default pipeline, a rejected write, WATCH`, async () => {
      const { stdout } = await run(interpreter, [...flags, program, String(port)], { timeout: 60_000 });
      expect(JSON.parse(stdout)).toEqual(output);
    });
  }

  it('ioredis: MULTI, pipelined or command by command', async () => {
    const client = new Redis({ port, host: '127.0.0.1' });
    try {
      const replies = [
        [null, 'value'],
        [null, ['value', null]],
        [null, 1],
        [null, -1],
      ];
      expect(await client.multi().get('key').mget('key', 'none').exists('key').ttl('key').exec()).toEqual(replies);
      const queries = client.multi().hgetall('hash').hmget('hash', 'a', 'none').lrange('list', 0, -1).smembers('set');
      queries.zrange('zset', '0', '-1', 'WITHSCORES').zscore('zset', 'b').hgetall('none');
      const found = ((await queries.exec()) ?? []).map(([, reply]) => reply);
      expect(found).toEqual([HASH, ['1', null], ['a'], ['m'], ['a', '1.5', 'b', '2'], '2', {}]);
      await client.multi({ pipeline: false });
      expect(await client.get('key')).toBe('QUEUED');
      expect(await client.exec()).toEqual([[null, 'value']]);
      await expect(client.multi().get('key').set('key', 'x').exec()).rejects.toThrow('EXECABORT');
      const [, [error]] = (await client.multi().get('key').get('list').exec()) ?? [];
      expect(String(error)).toMatch('WRONGTYPE');
      expect(await client.watch('key')).toBe('OK');
      expect(await client.get('key')).toBe('value');
    } finally {
      client.disconnect();
    }
  });

  it.each([2, 3] as const)('node-redis over RESP%i: MULTI, also as @keyv/redis uses it for many keys', async (RESP) => {
    const client = createClient({ url: `redis://127.0.0.1:${port}`, RESP });
    client.on('error', () => undefined);
    await client.connect();
    try {
      expect(await client.multi().get('key').mGet(['key', 'none']).ttl('key').exec()).toEqual([
        'value',
        ['value', null],
        -1,
      ]);
      const queries = client.multi().hGetAll('hash').hmGet('hash', ['a', 'none']).lRange('list', 0, -1).sMembers('set');
      queries.zRangeWithScores('zset', 0, -1).zScore('zset', 'b').hGetAll('none');
      const scores = SCORES.map(([value, score]) => ({ value, score }));
      expect(await queries.exec()).toEqual([HASH, ['1', null], ['a'], ['m'], scores, 2, {}]);
      // hasMany of @keyv/redis 5, which @nestjs/cache-manager uses, treats any reply but 1 as a missing key.
      const multi = client.multi();
      for (const key of ['key', 'none', 'other', 'list']) multi.exists(key);
      expect(await multi.exec()).toEqual([1, 0, 1, 1]);
      await expect(client.multi().get('key').set('key', 'x').exec()).rejects.toThrow();
      await client.watch('key');
      expect(await client.multi().get('key').exec()).toEqual(['value']);
      expect(await client.get('key')).toBe('value');
    } finally {
      client.destroy();
    }
  });

  it('aioredis 1.3: MULTI, queries and EXEC in one write, with one reply each', async () => {
    const socket = await RespSocket.open(port);
    socket.send(request('MULTI'), request('GET', 'key'), request('GET', 'other'), request('EXEC'), request('PING'));
    await socket.expect('+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$5\r\nvalue\r\n$6\r\nsecond\r\n+PONG\r\n');
    // A write command is rejected instead of being queued, and EXEC still gets a reply.
    socket.send(request('MULTI'), request('SET', 'key', 'x'), request('EXEC'), request('PING'));
    expect(await socket.until('+PONG\r\n')).toMatch(/^\+OK\r\n-READONLY .*\r\n-EXECABORT .*\r\n$/);
    socket.socket.destroy();
  });
});
