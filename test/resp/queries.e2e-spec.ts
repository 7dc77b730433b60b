import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

type Command = readonly (string | Buffer)[];

/** Commands that are sent at once. */
const PIPELINE = 200;

/** Data that looks like the protocol, or is not valid UTF-8. */
const AWKWARD = [
  Buffer.from('$-1\r\n'),
  Buffer.from('*-1\r\n:5\r\n'),
  Buffer.from([0xff, 0, 0x0d, 0x0a]),
  Buffer.alloc(0),
];
const LONG = 'long '.repeat(20_000);

/** Arguments of each command after the key. The first forms are valid for a value of the right type. */
const FORMS: Readonly<Record<string, readonly Command[]>> = {
  TYPE: [[]],
  EXISTS: [[]],
  TOUCH: [[]],
  GET: [[]],
  GETEX: [[]],
  STRLEN: [[]],
  GETRANGE: [
    ['0', '-1'],
    ['1', '2'],
    ['5', '1'],
    ['-3', '-1'],
    ['a', '1'],
    ['0', '9223372036854775808'],
  ],
  SUBSTR: [
    ['0', '-1'],
    ['1', '2'],
    ['1', 'b'],
  ],
  GETBIT: [['0'], ['7'], ['100000'], ['-1'], ['a']],
  BITCOUNT: [[], ['0', '-1'], ['1', '5', 'bit'], ['1', '5', 'BYTE'], ['1'], ['0', '1', 'word'], ['a', 'b']],
  BITPOS: [['1'], ['0'], ['1', '1'], ['1', '1', '-1'], ['0', '2', '9', 'Bit'], ['2'], ['1', 'a'], ['1', '0', '1', 'x']],
  HGET: [['field'], ['none'], ['']],
  HMGET: [['field', 'none', 'number', ''], ['field']],
  HGETALL: [[]],
  HKEYS: [[]],
  HVALS: [[]],
  HLEN: [[]],
  HEXISTS: [['field'], ['none']],
  HSTRLEN: [['field'], ['none']],
  LRANGE: [
    ['0', '-1'],
    ['0', '0'],
    ['-2', '5'],
    ['5', '1'],
    ['a', '1'],
  ],
  LINDEX: [['0'], ['-1'], ['99'], ['a']],
  LLEN: [[]],
  LPOS: [
    ...[['b'], ['none'], ['b', 'rank', '2'], ['b', 'RANK', '-1', 'COUNT', '0'], ['b', 'count', '2', 'maxlen', '3']],
    ...[['b', 'COUNT', '0'], ['none', 'COUNT', '0'], ['rank'], ['rank', 'rank', '1']],
    ...[
      ['b', 'RANK', '0'],
      ['b', 'COUNT'],
      ['b', 'COUNT', '-1'],
      ['b', 'x', '1'],
    ],
  ],
  SMEMBERS: [[]],
  SISMEMBER: [['a'], ['none']],
  SMISMEMBER: [['a', 'none', ''], ['none']],
  SCARD: [[]],
  ZRANGE: [
    ...[
      ['0', '-1'],
      ['0', '-1', 'WITHSCORES'],
      ['0', '1', 'rev'],
      ['0', '-1', 'Rev', 'withScores'],
      ['5', '1'],
    ],
    ...[
      ['-inf', '+inf', 'BYSCORE'],
      ['+inf', '(1', 'BYSCORE', 'REV', 'WITHSCORES', 'LIMIT', '0', '2'],
    ],
    ...[
      ['[a', '(c', 'bylex'],
      ['+', '-', 'BYLEX', 'REV', 'limit', '1', '1'],
      ['-', '+', 'BYLEX', 'LIMIT', '0', '-1'],
    ],
    ...[
      ['0', '-1', 'LIMIT', '0', '1'],
      ['-', '+', 'BYLEX', 'WITHSCORES'],
      ['a', 'b'],
      ['0', '1', 'none'],
    ],
    ...[
      ['0', '1', 'BYSCORE', 'LIMIT', 'REV', 'WITHSCORES'],
      ['0', '1', 'BYSCORE', 'LIMIT', '0'],
      ['a', '[', 'BYLEX'],
    ],
  ],
  ZREVRANGE: [
    ['0', '-1'],
    ['0', '-1', 'withscores'],
    ['a', '1'],
    ['0', '1', 'REV'],
  ],
  ZRANGEBYSCORE: [
    ...[
      ['-inf', '+inf'],
      ['1', '(3', 'WITHSCORES'],
      ['-inf', 'inf', 'limit', '1', '2', 'withscores'],
    ],
    ...[
      ['a', '1'],
      ['0', '1', 'LIMIT', 'WITHSCORES', '1'],
      ['0', '1', 'LIMIT', '1'],
    ],
  ],
  ZREVRANGEBYSCORE: [
    ['+inf', '-inf'],
    ['(3', '1', 'WITHSCORES', 'LIMIT', '0', '5'],
    ['a', '1'],
  ],
  ZRANGEBYLEX: [
    ['-', '+'],
    ['[a', '(c'],
    ['-', '+', 'limit', '0', '1'],
    ['a', 'b'],
    ['-', '+', 'WITHSCORES'],
  ],
  ZREVRANGEBYLEX: [
    ['+', '-'],
    ['(c', '[a', 'LIMIT', '0', '2'],
    ['a', 'b'],
  ],
  ZSCORE: [['a'], ['tenth'], ['infinite'], ['none']],
  ZMSCORE: [['a', 'none', 'tenth', '-infinite'], ['none']],
  ZRANK: [['a'], ['none'], ['a', 'withscore'], ['none', 'WITHSCORE'], ['a', 'x']],
  ZREVRANK: [['a'], ['none'], ['a', 'WITHSCORE'], ['a', 'x']],
  ZCARD: [[]],
  ZCOUNT: [
    ['-inf', '+inf'],
    ['(1', '2'],
    ['a', '1'],
  ],
  ZLEXCOUNT: [
    ['-', '+'],
    ['[a', '[b'],
    ['a', 'b'],
  ],
  GEOPOS: [['Palermo', 'none', 'Catania'], ['none'], []],
  GEODIST: [
    ['Palermo', 'Catania'],
    ['Palermo', 'Catania', 'KM'],
    ['Palermo', 'none'],
    ['Palermo', 'Catania', 'x'],
  ],
  GEOHASH: [['Palermo', 'none'], ['none'], []],
  GEOSEARCH: [
    ...[
      ['FROMMEMBER', 'Palermo', 'BYRADIUS', '200', 'km'],
      ['frommember', 'asc', 'byradius', '200', 'km', 'asc'],
    ],
    ...[['FROMMEMBER', 'Palermo', 'BYRADIUS', '200', 'KM', 'WITHCOORD', 'ASC']],
    ...[['FROMLONLAT', '15', '37', 'BYBOX', '400', '400', 'km', 'withcoord', 'withdist', 'withhash', 'desc']],
    ...[['FROMLONLAT', '15', '37', 'BYRADIUS', '200', 'km', 'WITHDIST', 'COUNT', '1', 'any']],
    ...[['FROMLONLAT', '15', '37', 'BYRADIUS', '200', 'km', 'WITHHASH', 'COUNT', '2', 'ASC']],
    ...[
      ['FROMMEMBER', 'none', 'BYRADIUS', '200', 'km'],
      ['FROMLONLAT', '15', 'x', 'BYRADIUS', '200', 'km'],
    ],
    ...[
      ['FROMLONLAT', '15', '37', 'BYRADIUS', '200', 'parsec'],
      ['FROMLONLAT', '15', '37', 'COUNT', '0', 'ANY'],
    ],
  ],
  XRANGE: [
    ['-', '+'],
    ['-', '+', 'count', '1'],
    ['2', '2'],
    ['(1-1', '+'],
    ['-', '+', 'COUNT', '0'],
    ['a', '+'],
    ['-', '+', 'x'],
  ],
  XREVRANGE: [
    ['+', '-'],
    ['+', '-', 'COUNT', '1'],
    ['a', '-'],
  ],
  XLEN: [[]],
  // The server has no JSON module: only its error is passed on.
  'JSON.GET': [[], ['$'], ['INDENT', '  ', '$.a', '.b']],
  'JSON.TYPE': [[], ['$']],
  'JSON.STRLEN': [[], ['$.a']],
  'JSON.OBJKEYS': [['$']],
  'JSON.OBJLEN': [['$']],
  'JSON.ARRLEN': [['$']],
};

/** Commands about several keys. */
const MULTI_KEY: readonly Command[] = [
  ['MGET', 'text', 'none', 'hash', 'number'],
  ['MGET', 'text'],
  ['EXISTS', 'text', 'none', 'hash', 'text', 'none'],
  ['TOUCH', 'text', 'none', 'stream'],
];

const KEYS = [
  ...[
    'none',
    'text',
    'number',
    'empty',
    'long',
    'hash',
    'large hash',
    'list',
    'large list',
    'set',
    'integers',
    'large set',
  ],
  ...['sorted set', 'large sorted set', 'equal scores', 'geo', 'stream', 'expiring'],
];

async function writeData({ client }: TestRedis): Promise<void> {
  const many = Array.from({ length: 600 }, (_, i) => `member ${i}`);
  await client.mset({ text: 'some text', number: '12345', long: LONG });
  await client.set('empty', '');
  await client.set('expiring', 'text', 'EX', 100_000);
  await client.call('HSET', 'hash', 'field', 'value', 'number', '17', '', 'of no field', 'awkward', AWKWARD[0]);
  await client.hset('large hash', Object.fromEntries(many.map((field, i) => [field, i])));
  await client.rpush('list', 'a', 'b', 'c', 'b', '', 'rank', ...AWKWARD);
  await client.rpush('large list', ...many, LONG);
  await client.sadd('set', 'a', 'b', '', ...AWKWARD);
  await client.sadd('integers', 1, 2, 3, -5);
  await client.sadd('large set', ...many);
  // Each look-up of a member moves a part of the set while Redis enlarges its table, which changes the order of its members.
  for (let pass = 0; pass < 4; pass++) {
    await client.smismember('large set', ...many);
    await client.smismember('set', ...many);
    await client.hmget('large hash', ...many);
  }
  await client.zadd('sorted set', 1, 'a', 2.5, 'b', 0.1, 'tenth', '1e300', 'huge', 3, AWKWARD[0]);
  await client.zadd('sorted set', 'inf', 'infinite', '-inf', '-infinite', -0.0, 'zero', 12345678.9, 'precise');
  await client.zadd('large sorted set', ...many.flatMap((member, i) => [i / 7, member]));
  await client.zadd('equal scores', ...['a', 'b', 'c', 'd'].flatMap((member) => [0, member]));
  await client.geoadd('geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania', 14, 38, 'asc');
  await client.xadd('stream', '1-1', 'a', '1');
  await client.xadd('stream', '2-1', 'b', '2', 'c', AWKWARD[1]);
}

/** Sends commands, and returns the reply to each. */
async function run(socket: RespSocket, commands: readonly Command[]): Promise<string[]> {
  const replies: string[] = [];
  for (let from = 0; from < commands.length; from += PIPELINE) {
    const some = commands.slice(from, from + PIPELINE);
    socket.send(Buffer.concat(some.map((command) => request(...command))));
    for (let left = some.length; left > 0; left--) replies.push(await socket.replies(1));
  }
  return replies;
}

describeOwn('queries over the Redis protocol', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  const sockets: RespSocket[] = [];

  beforeAll(async () => {
    redis = await TestRedis.start();
    await writeData(redis);
  });
  afterAll(() => redis.stop());
  beforeEach(() => start());
  const start = async (settings: Readonly<Record<string, string>> = {}): Promise<void> => {
    proxy = await TestProxy.start({
      ...settings,
      ...{ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 1 },
      ...{ CACHE_CAPACITY: 100_000, CACHE_TTL_MS: 3_600_000, CACHE_NEGATIVE_TTL_MS: 3_600_000 },
    });
  };
  afterEach(async () => {
    for (const { socket } of sockets.splice(0)) socket.destroy();
    await proxy.stop();
  });

  async function open(port: number, protocol: 2 | 3): Promise<RespSocket> {
    const socket = await RespSocket.open(port);
    sockets.push(socket);
    socket.send(request('HELLO', String(protocol)));
    await socket.replies(1);
    return socket;
  }

  /** Returns how often Redis has executed commands, those of the proxy's checks excluded. */
  async function callsOfRedis(): Promise<Readonly<Record<string, number>>> {
    const stats = await redis.client.info('commandstats');
    const calls = [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
      ([, name, count]) => [name, Number(count)] as const,
    );
    return Object.fromEntries(calls.filter(([name]) => !['info', 'ping', 'hello'].includes(name)));
  }

  const all = [
    ...Object.entries(FORMS).flatMap(([name, forms]) =>
      KEYS.flatMap((key) => forms.map((args): Command => [name, key, ...args])),
    ),
    ...MULTI_KEY,
  ];

  it.each([2, 3] as const)('reply as Redis does in RESP%i, on the miss and on the hit', compareAll);

  it('reply as Redis does without private parts of ioredis', async () => {
    await proxy.stop();
    await start({ NODE_INTERNALS: 'off' });
    await compareAll(2);
  });

  async function compareAll(protocol: 2 | 3): Promise<void> {
    const direct = await open(redis.port, protocol);
    const socket = await open(respPort(proxy), protocol);
    const expected = await run(direct, all);
    for (const read of ['miss', 'hit']) {
      const found = await run(socket, all);
      const different = all.flatMap((command, i) =>
        found[i] === expected[i] ? [] : [{ read, command, found: found[i], expected: expected[i] }],
      );
      expect(different).toEqual([]);
    }
  }

  it('are not sent to Redis again, whatever the protocol and the case of the options', async () => {
    const direct = await open(redis.port, 2);
    const replies = await run(direct, all);
    // Errors are not cached: neither those of queries nor that MGET finds a value of another type.
    const cached = all.filter(
      (command, i) => !replies[i].startsWith('-') && !(command[0] === 'MGET' && command.includes('hash')),
    );
    await run(await open(respPort(proxy), 2), cached);
    const before = await callsOfRedis();
    for (const protocol of [2, 3] as const) await run(await open(respPort(proxy), protocol), cached);
    const optionsOfZrange = ['bySCORE', 'Rev', 'withscores', 'LIMIT', '0', '2'];
    await run(await open(respPort(proxy), 2), [['zRANGE', 'sorted set', '+inf', '(1', ...optionsOfZrange]]);
    expect(await callsOfRedis()).toEqual(before);
  });

  it('are loaded each time if the arguments or the reply are too long for an entry', async () => {
    const [direct, socket] = [await open(redis.port, 2), await open(respPort(proxy), 2)];
    await redis.client.rpush('huge list', 'x'.repeat(2 ** 20), 'last');
    const fields = Array.from({ length: 300 }, (_, i) => `member ${i} ${'x'.repeat(100)}`);
    const commands: Command[] = [
      ['HMGET', 'large hash', 'member 7', ...fields],
      ['HGET', 'large hash', 'x'.repeat(16_400)],
      ['HGETALL', 'k'.repeat(65_536)],
      ['LRANGE', 'huge list', '0', '-1'],
    ];
    const expected = await run(direct, commands);
    await redis.forgetCalls();
    for (let pass = 0; pass < 2; pass++) expect(await run(socket, commands)).toEqual(expected);
    const { hmget, lrange, hget, hgetall } = await callsOfRedis();
    expect([hmget, lrange, hget, hgetall]).toEqual([2, 2, 2, 2]);
  });

  it.each([2, 3] as const)('are queued between MULTI and EXEC, and answered together, in RESP%i', async (protocol) => {
    const [direct, socket] = [await open(redis.port, protocol), await open(respPort(proxy), protocol)];
    const rejected = /^-ERR (?:unknown command|wrong number of arguments)/;
    const replies = await run(direct, all);
    const queued = all.filter((_command, i) => (i % 7 === 0 || i % 11 === 0) && !rejected.test(replies[i]));
    const transaction = [['MULTI'], ...queued, ['EXEC']];
    const expected = await run(direct, transaction);
    for (const read of ['miss', 'hit']) expect([read, await run(socket, transaction)]).toEqual([read, expected]);
  });

  it('equal those of Redis for any command, arguments and data', async () => {
    const [direct, socket, resp3, direct3] = await Promise.all([
      open(redis.port, 2),
      open(respPort(proxy), 2),
      open(respPort(proxy), 3),
      open(redis.port, 3),
    ]);
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(anyData, fc.array(anyCommand, { minLength: 1, maxLength: 40 }), async (data, commands) => {
        // Keys are used once: nothing ends the entries of the run before.
        const prefix = `run ${runs++} `;
        const named = ([name, key, ...rest]: Command): Command => [name, `${prefix}${String(key)}`, ...rest];
        await run(direct, data.map(named));
        await run(direct, COMPLETE_SETS.map(named));
        const expected = await run(direct, commands.map(named));
        expect(await run(socket, commands.map(named))).toEqual(expected);
        expect(await run(socket, commands.map(named))).toEqual(expected);
        expect(await run(resp3, commands.map(named))).toEqual(await run(direct3, commands.map(named)));
      }),
      { numRuns: 150 },
    );
  });
});

const KEY_NAMES = ['a', 'b', 'c'];
/** Commands whose errors do not depend on the arguments: neither unknown to the server nor refused by the proxy. */
const NAMES = Object.keys(FORMS).filter((name) => !name.startsWith('JSON.') && name !== 'GETEX');
/** Completes the enlargement of sets: until then, each look-up may change the order of the members. */
const COMPLETE_SETS = KEY_NAMES.map((key): Command => ['SMISMEMBER', key, ...Array.from({ length: 64 }, () => 'x')]);
const number = fc.oneof(fc.integer({ min: -5, max: 12 }).map(String), fc.constantFrom('inf', '-inf', '1.5', '+', '-'));
const word = fc.constantFrom('x', 'y', 'z', 'rank', 'WITHSCORES', 'asc', '1', '', '[x', '(y', '$-1\r\n');
const option = fc.constantFrom(
  ...['WITHSCORES', 'withscores', 'LIMIT', 'limit', 'REV', 'BYSCORE', 'bylex', 'COUNT', 'count', 'RANK', 'MAXLEN'],
  ...['FROMMEMBER', 'BYRADIUS', 'byradius', 'km', 'FROMLONLAT', 'BYBOX', 'WITHCOORD', 'withdist', 'WITHHASH', 'ASC'],
  ...['BIT', 'byte', 'WITHSCORE', 'ANY'],
);
const data = fc.oneof(
  word,
  fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes)),
);
const score = fc.oneof(
  fc.double({ noNaN: true }).map(String),
  fc.integer().map(String),
  fc.constantFrom('inf', '-inf'),
);
const anyKey = fc.constantFrom(...KEY_NAMES);

/** A command with arguments that are likely to be valid, and sometimes are not. */
const anyCommand: fc.Arbitrary<Command> = fc
  .oneof(
    fc.tuple(fc.constantFrom(...NAMES), anyKey, fc.array(fc.oneof(number, data, option), { maxLength: 6 })),
    ...Object.entries(FORMS).map(([name, forms]) =>
      fc.tuple(fc.constant(name), anyKey, fc.constantFrom(...forms.map((form) => [...form]))),
    ),
  )
  .map(([name, key, args]) => [name, key, ...args]);

/** Commands that write values of any types to the keys. A key may have values of several types: the first write rules. */
const anyData: fc.Arbitrary<readonly Command[]> = fc.array(
  fc
    .oneof(
      fc.tuple(fc.constantFrom('SADD', 'RPUSH'), anyKey, fc.array(data, { minLength: 1, maxLength: 12 })),
      fc.tuple(
        fc.constant('HSET'),
        anyKey,
        fc.array(fc.tuple(data, data), { minLength: 1 }).map((pairs) => pairs.flat()),
      ),
      fc.tuple(
        fc.constant('ZADD'),
        anyKey,
        fc.array(fc.tuple(score, data), { minLength: 1 }).map((pairs) => pairs.flat()),
      ),
      fc.tuple(
        fc.constant('SETNX'),
        anyKey,
        data.map((value) => [value]),
      ),
      fc.tuple(
        fc.constant('XADD'),
        anyKey,
        fc.tuple(data, data).map((pair) => ['*', ...pair]),
      ),
      fc.tuple(
        fc.constant('GEOADD'),
        anyKey,
        fc
          .array(fc.tuple(fc.integer({ min: -179, max: 179 }), fc.integer({ min: -80, max: 80 }), data), {
            minLength: 1,
          })
          .map((members) =>
            members.flatMap(([longitude, latitude, member]) => [String(longitude), String(latitude), member]),
          ),
      ),
    )
    .map(([name, key, args]): Command => [name, key, ...args]),
  { minLength: 1, maxLength: 6 },
);
