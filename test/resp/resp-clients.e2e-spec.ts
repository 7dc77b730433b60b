import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { RESP_TYPES, createClient } from 'redis';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, redisProgram, request, respPort } from '../support/resp.ts';

const BINARY = Buffer.from([0, 255, 13, 10, 36, 42]);

describeOwn('Redis client libraries and tools', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let port: number;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset('key', 'value', 'empty', '', 'large', 'v'.repeat(10_240), 'huge', 'h'.repeat(2 ** 20));
    await redis.client.set(BINARY, BINARY);
    await redis.client.set('short', 'lived', 'EX', 1000);
    await redis.client.rpush('list', 'a');
    await redis.client.hset('hash', 'a', '1');
    proxy = await TestProxy.start({ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 2, ACCESS_TOKEN: 'token' });
    port = respPort(proxy);
  });
  afterAll(async () => {
    await proxy.stop();
    await redis.stop();
  });

  it('redis-cli', async () => {
    const cli = (...args: string[]) => redisProgram('redis-cli', port, '--no-auth-warning', '-a', 'token', ...args);
    expect(await cli('get', 'key')).toBe('value\n');
    expect(await cli('-3', 'mget', 'key', 'none')).toBe('value\n\n');
    expect(await cli('--json', 'command', 'docs', 'get')).toContain('"summary":"Get the value of a key"');
    expect(await cli('set', 'key', 'x')).toMatch(/^READONLY /);
    expect(await cli('info', 'server')).toMatch(/^# Server\r\n[^]*redis_http_cache_proxy_version:\d/);
    expect(await redisProgram('redis-cli', port, 'get', 'key')).toMatch(/^NOAUTH /);
    for (const protocol of ['-2', '-3']) {
      expect(await cli(protocol, 'hgetall', 'hash')).toBe(protocol === '-2' ? 'a\n1\n' : 'a 1\n');
      expect(await cli(protocol, 'lrange', 'list', '0', '-1')).toBe('a\n');
      expect(await cli(protocol, 'hgetall', 'none')).toBe('\n');
    }
  });

  it('redis-benchmark', async () => {
    for (const depth of ['1', '16']) {
      const args = ['-a', 'token', '-n', '2000', '-c', '10', '-P', depth, '-q', '-t', 'ping,get'];
      expect(await redisProgram('redis-benchmark', port, ...args)).toMatch(/GET: [\d.]+ requests per second/);
    }
  });

  it('ioredis', async () => {
    const client = new Redis({ port, host: '127.0.0.1', password: 'token', db: 0, connectionName: 'test' });
    try {
      expect(await client.get('key')).toBe('value');
      expect(await client.getBuffer(BINARY)).toEqual(BINARY);
      expect(await client.mget('key', 'none', 'list', 'empty')).toEqual(['value', null, null, '']);
      expect(await client.strlen('huge')).toBe(2 ** 20);
      expect(await client.exists('key', 'key', 'none', 'list')).toBe(3);
      expect(await client.ttl('short')).toBeGreaterThan(800);
      expect([await client.ttl('key'), await client.pttl('none')]).toEqual([-1, -2]);
      await expect(client.get('list')).rejects.toThrow('WRONGTYPE');
      await expect(client.set('key', 'x')).rejects.toThrow('READONLY');
      const names = ['key', 'none', 'large', 'huge', 'empty'];
      const pipeline = client.pipeline();
      for (let i = 0; i < 1000; i++) pipeline.get(names[i % names.length]);
      const values = (await pipeline.exec())?.map(([, value]) => (value as string | null)?.length);
      expect(values).toEqual(Array.from({ length: 1000 }, (_, i) => [5, undefined, 10_240, 2 ** 20, 0][i % 5]));
    } finally {
      client.disconnect();
    }
  });

  it.each([2, 3] as const)('node-redis over RESP%i', async (RESP) => {
    const client = createClient({ url: `redis://default:token@127.0.0.1:${port}/0`, name: 'test', RESP });
    client.on('error', () => undefined);
    await client.connect();
    try {
      expect(await client.get('key')).toBe('value');
      expect(await client.get('none')).toBeNull();
      expect(await client.mGet(['key', 'none', 'list', 'empty'])).toEqual(['value', null, null, '']);
      const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
      expect(await binary.get(BINARY)).toEqual(BINARY);
      expect(await client.clientGetName()).toBe('test');
      expect(await Promise.all(['key', 'huge', 'large'].map((key) => client.strLen(key)))).toEqual([
        5,
        2 ** 20,
        10_240,
      ]);
      await expect(client.get('list')).rejects.toThrow('WRONGTYPE');
      await expect(client.set('key', 'x')).rejects.toThrow('READONLY');
      expect((await client.configGet('save')).save).toBe('');
    } finally {
      client.destroy();
    }
  });
});

/** Requests to which Redis and the proxy must reply with the same bytes. */
const SAME_REPLIES: readonly (readonly (string | Buffer)[])[] = [
  ['GET', 'key'],
  ['get', BINARY],
  ['GET', 'none'],
  ['GET', ''],
  ['GET', 'list'],
  ['GET'],
  ['GET', 'a', 'b'],
  ['MGET', 'key', 'none', 'list', 'key'],
  ['MGET'],
  ['EXISTS', 'key', 'key', 'none', 'list'],
  ['STRLEN', 'key'],
  ['STRLEN', 'none'],
  ['STRLEN', 'list'],
  ['GETRANGE', 'key', '1', '-2'],
  ['getrange', BINARY, '-3', '100'],
  ['GETRANGE', 'none', '0', '-1'],
  ['GETRANGE', 'list', '0', '-1'],
  ['GETRANGE', 'list', 'x', '-1'],
  ['GETRANGE', 'key', '0'],
  ['SUBSTR', 'key', '1', '-2'],
  ['SUBSTR', 'none', '0', '-1'],
  ['SUBSTR', 'list', '0', '-1'],
  ['SUBSTR', 'key'],
  ['GETEX', 'key'],
  ['GETEX', 'none'],
  ['GETEX', 'list'],
  ['GETEX'],
  ['TOUCH', 'key', 'key', 'none', 'list'],
  ['TOUCH'],
  ['TYPE', 'key'],
  ['TYPE', 'list'],
  ['TYPE', 'none'],
  ['TYPE'],
  ['EXPIRETIME', 'key'],
  ['EXPIRETIME', 'none'],
  ['EXPIRETIME', 'list'],
  ['PEXPIRETIME', 'key'],
  ['PEXPIRETIME', 'none'],
  ['PEXPIRETIME'],
  ['ACL', 'WHOAMI'],
  ['ACL', 'WHOAMI', 'x'],
  ['ACL', 'NONSENSE'],
  ['ACL'],
  ['READONLY', 'x'],
  ['READWRITE', 'x'],
  ['EXEC'],
  ['DISCARD'],
  ['WATCH', 'key'],
  ['UNWATCH'],
  ['EXEC', 'x'],
  ['TTL', 'key'],
  ['TTL', 'none'],
  ['TTL', 'short'],
  ['PTTL', 'none'],
  ['PING'],
  ['PING', 'text'],
  ['PING', 'a', 'b'],
  ['ECHO', BINARY],
  ['ECHO'],
  ['AUTH', 'x'],
  ['AUTH', 'default', 'x'],
  ['AUTH', 'bob', 'x'],
  ['AUTH', 'a', 'b', 'c'],
  ['HELLO', '4'],
  ['HELLO', 'x'],
  ['HELLO', '3', 'NONSENSE'],
  ['HELLO', '3', 'AUTH', 'a'],
  ['HELLO', '3', 'SETNAME', 'a b'],
  ['SELECT', '0'],
  ['SELECT', 'x'],
  ['CLIENT', 'GETNAME'],
  ['CLIENT', 'SETNAME', 'name'],
  ['CLIENT', 'GETNAME'],
  ['CLIENT', 'SETNAME', 'a b'],
  ['CLIENT', 'NO-EVICT', 'off'],
  ['CLIENT', 'NO-EVICT', 'maybe'],
  ['CLIENT', 'ID', 'x'],
  ['CLIENT', 'NONSENSE'],
  ['CLIENT', 'GETREDIR'],
  ['CLIENT', 'LIST', 'TYPE', 'master'],
  ['CLIENT', 'LIST', 'TYPE', 'pubsub'],
  ['CLIENT', 'LIST', 'TYPE', 'x'],
  ['CLIENT', 'LIST', 'TYPE'],
  ['CLIENT', 'LIST', 'ID', 'x'],
  ['CLIENT', 'LIST', 'ID'],
  ['CLIENT', 'LIST', 'ID', '123456789'],
  ['CLIENT', 'LIST', 'NONSENSE'],
  ['COMMAND', 'LIST', 'FILTERBY', 'MODULE', 'json'],
  ['COMMAND', 'LIST', 'FILTERBY', 'ACLCAT', 'nonsense'],
  ['COMMAND', 'LIST', 'FILTERBY', 'PATTERN', 'GETR*'],
  ['COMMAND', 'LIST', 'FILTERBY', 'NONSENSE', 'x'],
  ['COMMAND', 'LIST', 'FILTERBY'],
  ['COMMAND', 'LIST', 'x'],
  ['COMMAND', 'GETKEYS', 'GET', 'a'],
  ['COMMAND', 'GETKEYS', 'mget', 'a', BINARY, 'c'],
  ['COMMAND', 'GETKEYS', 'GETRANGE', 'a', '0', '1'],
  ['COMMAND', 'GETKEYS', 'WATCH', 'a', 'b'],
  ['COMMAND', 'GETKEYS', 'GET', 'a', 'b'],
  ['COMMAND', 'GETKEYS', 'GET'],
  ['COMMAND', 'GETKEYS', 'PING', 'x'],
  ['COMMAND', 'GETKEYS', 'CLIENT', 'ID'],
  ['COMMAND', 'GETKEYS', 'nonsense', 'a'],
  ['COMMAND', 'GETKEYS'],
  ['COMMAND', 'GETKEYSANDFLAGS', 'MGET', 'a', 'b'],
  ['COMMAND', 'GETKEYSANDFLAGS', 'TYPE', 'a'],
  ['COMMAND', 'GETKEYSANDFLAGS', 'strlen', 'a'],
  ['COMMAND', 'COUNT', 'x'],
  ['CLIENT'],
  ['COMMAND', 'NONSENSE'],
  ['COMMAND', 'INFO', 'none'],
  ['CONFIG', 'GET', 'save'],
  ['CONFIG', 'GET', 'appendonly'],
  ['CONFIG', 'GET'],
  ['CONFIG', 'NONSENSE'],
  ['ROLE'],
  ['ROLE', 'x'],
  ['TIME', 'x'],
  ['DBSIZE', 'x'],
  ['nonsense'],
  ['non\r\nsense'],
  ['nonsense', 'a', '', BINARY, 'b'],
  ['nonsense', 'x'.repeat(125), 'bcd', 'e'],
  ['nonsense', 'x'.repeat(200), 'b'],
  ['nonsense', ...Array.from({ length: 100 }, () => '')],
  ['non\0sense', 'a\0b', 'c\r\nd'],
  ['n'.repeat(200), 'a'],
  ['CLIENT', 'non\0sense', 'a'],
  ['RESET'],
  ['QUIT'],
];

describeOwn('Redis and the proxy', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let sockets: RespSocket[];

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.mset('key', 'value', '', 'value of the empty key');
    await redis.client.set(BINARY, BINARY);
    await redis.client.set('short', 'lived', 'EX', 10_000);
    await redis.client.rpush('list', 'a');
    proxy = await TestProxy.start({ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 1 });
  });
  beforeEach(async () => {
    sockets = await Promise.all([redis.port, respPort(proxy)].map((port) => RespSocket.open(port)));
  });
  afterEach(() => {
    for (const { socket } of sockets) socket.destroy();
  });
  afterAll(async () => {
    await proxy?.stop();
    await redis?.stop();
  });

  /** Returns the replies of Redis and of the proxy. */
  async function repliesTo(command: readonly (string | Buffer)[]): Promise<string[]> {
    for (;;) {
      const startedAt = performance.now();
      // Keeps the rounded number of seconds the same for both requests if they are executed within 900 ms.
      if (command[1] === 'short') await redis.client.pexpire('short', 10_000_400);
      const replies = await Promise.all(
        sockets.map((socket) => {
          socket.send(request(...command));
          return command[0] === 'QUIT'
            ? socket.rest()
            : socket.send(request('ECHO', 'the end')).until('$7\r\nthe end\r\n');
        }),
      );
      if (command[1] !== 'short' || performance.now() - startedAt < 900) return replies;
    }
  }

  it.each([2, 3])('send the same replies over RESP%i', async (protocol) => {
    for (const socket of sockets) {
      // Skips the reply to HELLO: the connection's id and the modules differ.
      socket.send(request('HELLO', String(protocol)), request('ECHO', 'the end'));
      await socket.until('$7\r\nthe end\r\n');
    }
    for (const command of SAME_REPLIES) {
      const replies = await repliesTo(command);
      expect([command, replies[1]]).toEqual([command, replies[0]]);
    }
  });

  it('describe commands the same way, except for key specifications and tips', async () => {
    const described = async (port: number, names: readonly string[]) => {
      const info = await redisProgram('redis-cli', port, '--json', 'command', 'info', ...names);
      return (JSON.parse(info) as unknown[][]).map((command) => command.slice(0, 7));
    };
    const all = (await redisProgram('redis-cli', respPort(proxy), 'command', 'list')).trim().split('\n');
    // Excludes commands that are newer than the installed Redis or belong to a module, those that have got an option since,
    // and getex, which is a write command there.
    const other = /^(?:client\|setinfo|client\|no-touch|getex|zrank|zrevrank|json\..*)$/;
    const same = all.filter((name) => !other.test(name));
    expect(same.length).toBeGreaterThanOrEqual(90);
    expect(await described(respPort(proxy), same)).toEqual(await described(redis.port, same));
  });

  it('print the same lines in HELP for subcommands that both support', async () => {
    const newer = /^(?:NO-TOUCH|SETINFO| {4}(?:Will not touch|Set client meta|\* LIB-))/;
    for (const name of ['client', 'command', 'config', 'acl']) {
      const [expected, found] = await Promise.all(
        [redis.port, respPort(proxy)].map(async (port) =>
          (await redisProgram('redis-cli', port, name, 'help')).split('\n'),
        ),
      );
      const lines = found.filter((line) => !newer.test(line));
      expect(lines.length).toBeGreaterThan(3);
      expect(lines.filter((line) => !expected.includes(line))).toEqual([]);
    }
  });

  it('report the same expiration time of a key, within one second', async () => {
    const query = async (port: number, name: string) => Number(await redisProgram('redis-cli', port, name, 'short'));
    for (const [name, perSecond] of [
      ['expiretime', 1],
      ['pexpiretime', 1000],
    ] as const) {
      const startedAt = performance.now();
      const [expected, found] = await Promise.all([redis.port, respPort(proxy)].map((port) => query(port, name)));
      // The proxy adds the remaining time to the time at which it has received that.
      const limit = 1 + (performance.now() - startedAt) / 1000;
      expect(Math.abs(found - expected) / perSecond).toBeLessThanOrEqual(limit);
    }
  });

  it('list the same fields in CLIENT INFO and CLIENT LIST, in the same order', async () => {
    for (const subcommand of ['info', 'list']) {
      const [expected, found] = await Promise.all(
        [redis.port, respPort(proxy)].map(async (port) => {
          const [line] = (await redisProgram('redis-cli', port, 'client', subcommand)).split('\n');
          return line
            .trim()
            .split(' ')
            .map((field) => field.split('=')[0]);
        }),
      );
      // Excludes fields that Redis has from 7.2 on.
      expect(found.filter((field) => !['watch', 'lib-name', 'lib-ver'].includes(field))).toEqual(expected);
    }
  });

  it.each(['*x\r\n', '*2\r\n:\r\n', '*1\r\n$z\r\n', 'get "\r\n', '*0\r\n\r\nPING\r\n*-1\r\nQUIT\r\n'])(
    'send the same reply to %j',
    async (bytes) => {
      const [expected, found] = await Promise.all(sockets.map((socket) => socket.send(bytes).rest()));
      expect(found).toBe(expected);
    },
  );
});
