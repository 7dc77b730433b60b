import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect as connectTo, createServer } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/processes.ts';
import { PATIENT_TIMEOUTS, TestRedis } from '../../test/support/redis.ts';
import { loadSettings } from '../config/load-settings.ts';
import { probeRedisBatches } from './ioredis-internals/probe.ts';
import { redisBatches } from './ioredis-internals/redis-batches.ts';
import type { RedisTtl, RedisReply } from './redis-reply.ts';
import { createRedisReader } from './redis.module.ts';
import type { RedisReader, RedisState } from './redis-reader.ts';
import { NO_MEMORY, UNLIMITED_MEMORY } from './connection/value-memory.ts';
import { Query } from './query.ts';

const TIMEOUT_MS = 500;

let reader: RedisReader;

async function connect(url: string, settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const environment = { REDIS_URL: url, ...PATIENT_TIMEOUTS, ...settings };
  const { redis, cache } = loadSettings(environment, '/nowhere');
  reader = createRedisReader(redis, cache);
  await reader.connect();
}

const fetch = (key: string | Buffer): Promise<RedisReply> =>
  new Promise((onReply) => reader.fetch(Query.get(Buffer.from(key)), onReply, UNLIMITED_MEMORY));
const fetchAll = (...keys: (string | Buffer)[]): Promise<RedisReply[]> => Promise.all(keys.map(fetch));
/** Returns the query of a command whose first argument is the key. */
const queryOf = (words: readonly string[]): Query => {
  const [name, key, ...args] = words.map((word) => Buffer.from(word));
  return Query.of(key, [name, ...args]);
};
const ask = (...words: string[]): Promise<RedisReply> =>
  new Promise((onReply) => reader.fetch(queryOf(words), onReply, UNLIMITED_MEMORY));
const reply = (text: string, ttlMs?: number): RedisReply => ({ kind: 'value', value: Buffer.from(text), ttlMs });
const missing = (text: string): RedisReply => ({ kind: 'missing', reply: Buffer.from(text) });

/** Commands whose replies have all shapes of RESP2. */
const COMMANDS = [
  ...['GETRANGE text 1 3', 'SUBSTR text 1 3', 'STRLEN text', 'GETBIT text 1', 'BITCOUNT text', 'BITPOS text 1'],
  ...['HGET hash a', 'HGET hash nothing', 'HMGET hash a nothing b', 'HGETALL hash', 'HKEYS hash', 'HVALS hash'],
  ...['HLEN hash', 'HEXISTS hash a', 'HSTRLEN hash a', 'LRANGE list 0 -1', 'LINDEX list 0', 'LINDEX list 9'],
  ...['LLEN list', 'LPOS list b', 'LPOS list b COUNT 0', 'LPOS list nothing', 'LPOS list nothing COUNT 0'],
  ...['SMEMBERS set', 'SISMEMBER set a', 'SMISMEMBER set a nothing', 'SCARD set', 'ZRANGE sorted 0 -1'],
  ...['ZRANGE sorted 0 -1 WITHSCORES', 'ZREVRANGE sorted 0 0', 'ZRANGEBYSCORE sorted -inf +inf', 'ZSCORE sorted a'],
  ...['ZSCORE sorted nothing', 'ZMSCORE sorted a nothing', 'ZRANK sorted b', 'ZRANK sorted nothing', 'ZCARD sorted'],
  ...['GEOPOS geo a nothing b', 'GEODIST geo a b', 'GEODIST geo a nothing', 'GEOHASH geo a nothing'],
  ...['GEOSEARCH geo FROMMEMBER a BYRADIUS 900 km ASC WITHCOORD WITHDIST WITHHASH', 'XRANGE stream - +', 'XLEN stream'],
  ...['TYPE hash', 'TYPE stream', 'EXISTS list', 'OBJECT hash'],
];

const value = (text: string, ttlMs?: number): RedisReply => ({ kind: 'value', value: Buffer.from(text), ttlMs });
const lacksPermission = (missingPermission: string): RedisReply => ({
  ...{ kind: 'unavailable', reason: 'NOPERM', scope: 'command', missingPermission },
});

const MODES = [
  { mode: 'with private parts of ioredis', inUse: true, enter: () => probeRedisBatches() },
  { mode: 'with public API only', inUse: false, enter: () => Promise.resolve(redisBatches.disable('off')) },
];

describe.each(MODES)('$mode:', ({ inUse, enter }) => {
  beforeAll(async () => {
    await enter();
    expect(redisBatches.state.inUse).toBe(inUse);
  });
  afterEach(async () => {
    expect(redisBatches.state.inUse).toBe(inUse);
    reader.close();
    await new Promise<void>((closed) => reader.watch(({ reachable }) => !reachable && closed()));
  });

  describe('Redis reads', () => {
    let redis: TestRedis;

    beforeEach(async () => {
      redis = await TestRedis.start();
    });
    afterEach(() => redis.stop());

    it('return the value and its TTL, a missing key, or a value that is not a string', async () => {
      await connect(redis.url);
      await redis.client.mset('text', 'a text', 'empty', '');
      await redis.client.set('expiring', 'soon', 'PX', 60_000);
      await redis.client.rpush('list', 'a');
      const [text, list, missing, empty, expiring] = await fetchAll('text', 'list', 'nobody', 'empty', 'expiring');
      expect([text, list, missing, empty]).toEqual([
        value('a text'),
        { kind: 'wrong-type' },
        { kind: 'missing' },
        value(''),
      ]);
      expect(expiring).toMatchObject({ kind: 'value', value: Buffer.from('soon') });
      const { ttlMs } = expiring as { ttlMs: number };
      expect(ttlMs).toBeGreaterThan(50_000);
      expect(ttlMs).toBeLessThanOrEqual(60_000);
    });

    it('return the right value for keys of any length and any bytes', async () => {
      await connect(redis.url);
      const keys = [1, 2, 9, 10, 99, 100, 255, 256, 1000, 65_536].map((length, i) => Buffer.alloc(length, 250 + i));
      keys.push(Buffer.from('\r\n$3\r\n'), Buffer.from([0]), Buffer.from('*2\r\n'));
      for (const [i, key] of keys.entries()) await redis.client.set(key, `value ${i}`);
      expect(await fetchAll(...keys)).toEqual(keys.map((_, i) => value(`value ${i}`)));
    });

    it('return long values, which arrive in parts, between short ones', async () => {
      await connect(redis.url);
      const long = 'x'.repeat(3_000_000);
      await redis.client.mset('short', 's', 'long', long);
      const replies = await fetchAll('short', 'long', 'short', 'long');
      // Compared with `equals`, because Jest is slow for millions of bytes.
      const equal = replies.map(
        (reply, i) => reply.kind === 'value' && reply.value.equals(Buffer.from(['s', long][i % 2])),
      );
      expect(equal).toEqual([true, true, true, true]);
    });

    it('send GET and PTTL, or only GET with CACHE_RESPECT_KEY_TTL=false', async () => {
      await connect(redis.url);
      await fetchAll('a', 'b');
      expect(await Promise.all(['get', 'pttl'].map((name) => redis.calls(name)))).toEqual([2, 2]);
      reader.close();
      await redis.forgetCalls();
      await connect(redis.url, { CACHE_RESPECT_KEY_TTL: 'false' });
      await redis.client.set('a', 'value', 'PX', 60_000);
      expect(await fetchAll('a', 'b')).toEqual([value('value'), { kind: 'missing' }]);
      expect(await Promise.all(['get', 'pttl'].map((name) => redis.calls(name)))).toEqual([2, 0]);
    });

    /** Writes keys of all types. */
    async function populate(): Promise<void> {
      await redis.client.set('text', 'a \r\n text');
      await redis.client.hset('hash', { a: '1', b: '', c: '\r\n' });
      await redis.client.rpush('list', 'a', 'b', 'c', 'b');
      await redis.client.sadd('set', 'a', 'b');
      await redis.client.zadd('sorted', 1.5, 'a', 2, 'b');
      await redis.client.geoadd('geo', 13.361389, 38.115556, 'a', 15.087269, 37.502669, 'b');
      await redis.client.xadd('stream', '1-1', 'field', 'value', 'other', '');
      await redis.client.xadd('stream', '2-1', 'field', 'value');
    }

    it('return the reply of Redis to any command byte for byte, for keys of all types and a missing one', async () => {
      await connect(redis.url);
      await populate();
      await redis.client.pexpire('hash', 60_000);
      const all = COMMANDS.map((command) => command.split(' '));
      for (const words of [...all, ...all.map(([name, , ...args]) => [name, 'nobody', ...args])]) {
        const expected = await rawReply(redis.port, words);
        const received = await ask(...words);
        if (received.kind === 'value') {
          expect([words, received.value.toString('latin1')]).toEqual([words, expected]);
          expect(received.ttlMs !== undefined).toBe(words[1] === 'hash');
        } else if (received.kind === 'missing') {
          expect([words, words[1], received.reply?.toString('latin1')]).toEqual([words, 'nobody', expected]);
        } else {
          expect([words, received]).toEqual([words, { kind: 'error-reply', message: expected.slice(1, -2) }]);
        }
      }
    });

    it('return the same replies over a connection that delivers them slowly and in small parts', async () => {
      await populate();
      await redis.client.hset('long', { a: 'x'.repeat(150_000), b: 'y'.repeat(10) });
      const relay = await startSplittingRelay(redis.port);
      try {
        await connect(`redis://127.0.0.1:${(relay.address() as AddressInfo).port}`);
        const all = [...COMMANDS, 'HGETALL long', 'HGET long a'].map((command) => command.split(' '));
        const direct = await Promise.all(all.map((words) => rawReply(redis.port, words)));
        const received = await Promise.all(all.flatMap((words) => [ask(...words), fetch('text')]));
        for (const [index, reply] of received.entries()) {
          if (index % 2 === 1) expect(reply).toEqual(value('a \r\n text'));
          else if (reply.kind === 'error-reply') expect(`-${reply.message}\r\n`).toBe(direct[index / 2]);
          else
            expect(reply.kind === 'value' && reply.value.equals(Buffer.from(direct[index / 2], 'latin1'))).toBe(true);
        }
      } finally {
        relay.close();
      }
    });

    it('return the error that Redis replies to a command, which is not a failure', async () => {
      await connect(redis.url);
      await populate();
      const states: string[] = [];
      reader.watchCircuit((state) => states.push(state));
      const wrongType = 'WRONGTYPE Operation against a key holding the wrong kind of value';
      const replies = await Promise.all([
        ask('HGETALL', 'list'),
        ask('LRANGE', 'list', 'a', 'b'),
        ask('HGET', 'hash'),
        ask('JSON.GET', 'text', '$'),
        fetch('list'),
      ]);
      expect(replies).toEqual([
        { kind: 'error-reply', message: wrongType },
        { kind: 'error-reply', message: 'ERR value is not an integer or out of range' },
        { kind: 'error-reply', message: "ERR wrong number of arguments for 'hget' command" },
        { kind: 'error-reply', message: expect.stringMatching(/^ERR unknown command 'JSON.GET'/) },
        { kind: 'wrong-type' },
      ]);
      expect(states).toEqual(['closed']);
    });

    it('return replies of up to REDIS_MAX_VALUE_BYTES, in any order with those to GET', async () => {
      await connect(redis.url, { REDIS_MAX_VALUE_BYTES: '2000000' });
      const field = (bytes: number): string => 'x'.repeat(bytes);
      await redis.client.hset('long', { a: field(300_000), b: field(700_000) });
      await redis.client.hset('longer', { a: field(1_200_000), b: field(1_200_000) });
      await redis.client.rpush('numbers', ...Array.from({ length: 100_000 }, (_, i) => i));
      await redis.client.set('text', 'text');
      const words = [
        ['HGETALL', 'long'],
        ['HGETALL', 'longer'],
        ['LRANGE', 'numbers', '0', '-1'],
        ['HGET', 'long', 'b'],
      ];
      const replies = await Promise.all(words.flatMap((command) => [ask(...command), fetch('text')]));
      for (const [index, received] of replies.entries()) {
        if (index % 2 === 1) expect(received).toEqual(value('text'));
        else if (index === 2) expect(received).toEqual({ kind: 'value-too-large' });
        else {
          const expected = Buffer.from(await rawReply(redis.port, words[index / 2]), 'latin1');
          // Compared with `equals`, because Jest is slow for millions of bytes.
          expect(received.kind === 'value' && received.value.equals(expected)).toBe(true);
        }
      }
    });

    it('return the size of a reply for which there is no memory, and read others', async () => {
      await connect(redis.url);
      await redis.client.rpush('numbers', ...Array.from({ length: 100_000 }, (_, i) => i));
      const { length } = await rawReply(redis.port, ['LRANGE', 'numbers', '0', '-1']);
      const replies = await Promise.all([
        new Promise<RedisReply>((onReply) =>
          reader.fetch(queryOf(['LRANGE', 'numbers', '0', '-1']), onReply, NO_MEMORY),
        ),
        ask('LLEN', 'numbers'),
      ]);
      expect(replies).toEqual([{ kind: 'buffer-full', bytes: length }, reply(':100000\r\n')]);
    });

    it('send PTTL after a command other than GET also with CACHE_RESPECT_KEY_TTL=false, and ignore the TTL', async () => {
      await connect(redis.url, { CACHE_RESPECT_KEY_TTL: 'false' });
      await populate();
      await redis.client.pexpire('hash', 60_000);
      await redis.forgetCalls();
      expect(await Promise.all([ask('HLEN', 'hash'), fetch('text'), ask('HLEN', 'nobody'), fetch('nobody')])).toEqual([
        reply(':3\r\n'),
        value('a \r\n text'),
        missing(':0\r\n'),
        { kind: 'missing' },
      ]);
      expect(await Promise.all(['get', 'hlen', 'pttl'].map((name) => redis.calls(name)))).toEqual([2, 2, 2]);
    });

    it('fail for a command that the account may not run, without being unavailable for GET', async () => {
      await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+get', '+pttl', '+ping', '+hlen');
      await populate();
      await connect(`redis://reader:secret@127.0.0.1:${redis.port}`);
      const states: RedisState[] = [];
      reader.watch((state) => states.push(state));
      expect(await ask('HGETALL', 'hash')).toEqual(lacksPermission('+hgetall'));
      expect(await Promise.all([ask('HGETALL', 'hash'), ask('HLEN', 'hash')])).toEqual([
        lacksPermission('+hgetall'),
        reply(':3\r\n'),
      ]);
      await redis.client.call('ACL', 'SETUSER', 'reader', '-get');
      // A permitted command does not show that GET is permitted.
      expect(await Promise.all([ask('HLEN', 'hash'), fetch('text')])).toEqual([
        reply(':3\r\n'),
        lacksPermission('+get'),
      ]);
      expect(await ask('HLEN', 'hash')).toEqual(reply(':3\r\n'));
      expect(states).toEqual([{ reachable: true }, { reachable: true, missingPermission: '+get' }]);
      const refused: string[] = [];
      reader.watchRefused((permission) => refused.push(permission));
      expect(await ask('SMEMBERS', 'set')).toEqual(lacksPermission('+smembers'));
      expect(refused).toEqual(['+hgetall', '+smembers']);
    });

    it('need no other permissions, and report a missing one', async () => {
      await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '+get', '+pttl', '+ping');
      await redis.client.set('key', 'value');
      await connect(`redis://reader:secret@127.0.0.1:${redis.port}`);
      expect(await fetch('key')).toEqual(value('value'));
      await redis.client.call('ACL', 'SETUSER', 'reader', '-pttl');
      expect(await fetchAll('key', 'nobody')).toEqual(Array(2).fill(lacksPermission('+pttl')));
      await redis.client.call('ACL', 'SETUSER', 'reader', '+pttl', '-get');
      expect(await fetch('key')).toEqual(lacksPermission('+get'));
    });

    it('time out, and a late reply is not returned for another read', async () => {
      await connect(redis.url, { REDIS_COMMAND_TIMEOUT_MS: String(TIMEOUT_MS) });
      await redis.client.mset('a', 'of a', 'b', 'of b');
      redis.server?.signal('SIGSTOP');
      const start = performance.now();
      expect(await fetchAll('a', 'b')).toEqual([{ kind: 'timeout' }, { kind: 'timeout' }]);
      expect(performance.now() - start).toBeGreaterThanOrEqual(TIMEOUT_MS - 1);
      const waiting = fetchAll('b', 'a');
      await new Promise(setImmediate);
      redis.server?.signal('SIGCONT');
      const [b, a] = [value('of b'), value('of a')];
      // Some time out as well if Redis does not continue at once.
      const received = [await waiting];
      await until('both are read', async () => {
        received.push(await fetchAll('b', 'a'));
        return received.at(-1)?.every(({ kind }) => kind === 'value') || undefined;
      });
      for (const replies of received) {
        for (const [i, reply] of replies.entries()) if (reply.kind === 'value') expect(reply).toEqual([b, a][i]);
      }
    });

    it('fail fast while Redis is unresponsive, and recover soon after it replies again', async () => {
      await connect(redis.url, { REDIS_COMMAND_TIMEOUT_MS: String(TIMEOUT_MS) });
      await redis.client.set('a', 'of a');
      let circuit = '';
      reader.watchCircuit((state) => (circuit = state));
      redis.server?.signal('SIGSTOP');
      const attempts = [];
      for (let i = 0; i < 3; i++) {
        attempts.push(fetch('a'));
        await new Promise(setImmediate);
      }
      expect(await Promise.all(attempts)).toEqual(Array(3).fill({ kind: 'timeout' }));
      const failedFast = { kind: 'unavailable', reason: 'circuit' };
      expect([circuit, await fetch('a'), await reader.ttl(Buffer.from('a'))]).toEqual(['open', failedFast, failedFast]);
      redis.server?.signal('SIGCONT');
      let reply: RedisReply;
      do {
        await new Promise(setImmediate);
        reply = await fetch('a');
      } while (reply.kind !== 'value');
      expect([reply, circuit]).toEqual([value('of a'), 'closed']);
    });

    /** Stops Redis until the circuit opens, and continues it. */
    async function stall(): Promise<string[]> {
      await connect(redis.url, { REDIS_COMMAND_TIMEOUT_MS: String(TIMEOUT_MS) });
      const states: string[] = [];
      reader.watchCircuit((state) => states.push(state));
      redis.server?.signal('SIGSTOP');
      const attempts = [];
      for (let i = 0; i < 3; i++) {
        attempts.push(reader.ttl(Buffer.from('a')));
        await new Promise(setImmediate);
      }
      expect(await Promise.all(attempts)).toEqual(Array(3).fill({ kind: 'timeout' }));
      expect(states).toEqual(['closed', 'open']);
      redis.server?.signal('SIGCONT');
      return states;
    }

    it('are not needed to close the circuit: TTL queries suffice', async () => {
      await stall();
      let ttl: RedisTtl;
      do {
        await new Promise(setImmediate);
        ttl = await reader.ttl(Buffer.from('a'));
      } while (ttl.kind !== 'missing');
    });

    it.each(['permitted', 'not permitted'])(
      'are not needed to close the circuit: the probe suffices (%s)',
      async (probe) => {
        if (probe !== 'permitted') await redis.client.call('ACL', 'SETUSER', 'default', '-get');
        const states = await stall();
        let isLost = false;
        reader.watch(({ reachable }) => (isLost ||= !reachable));
        while (states.at(-1) !== 'closed') await new Promise(setImmediate);
        // Another probe is sent if Redis does not continue in time for the first one; after two seconds of silence the connection
        // is closed, which closes the circuit as well.
        const expected = isLost ? /^closed open .*closed$/ : /^closed open (?:half-open open )*half-open closed$/;
        expect(states.join(' ')).toMatch(expected);
        await until('Redis replies', async () => (await reader.ttl(Buffer.from('a'))).kind === 'missing' || undefined);
      },
    );

    it('count as one attempt if they are sent in one tick, together with other queries', async () => {
      await connect(redis.url, { REDIS_COMMAND_TIMEOUT_MS: String(TIMEOUT_MS) });
      const states: string[] = [];
      reader.watchCircuit((state) => states.push(state));
      redis.server?.signal('SIGSTOP');
      const key = Buffer.from('a');
      const ends = await Promise.all([fetch('a'), ...Array.from({ length: 5 }, () => reader.ttl(key)), fetch('b')]);
      expect(ends).toEqual(Array(7).fill({ kind: 'timeout' }));
      expect(states).toEqual(['closed']);
      redis.server?.signal('SIGCONT');
    });

    it('fail when the connection is lost, and synchronously while disconnected', async () => {
      await connect(redis.url);
      redis.server?.signal('SIGSTOP');
      const waiting = fetchAll('a', 'b');
      await new Promise(setImmediate);
      redis.server?.signal('SIGKILL');
      const connectionLost = { kind: 'unavailable', reason: expect.any(String) };
      expect(await waiting).toEqual([connectionLost, connectionLost]);
      let reply: RedisReply | undefined;
      reader.fetch(Query.get(Buffer.from('a')), (received) => (reply = received), UNLIMITED_MEMORY);
      expect(reply).toEqual({ kind: 'unavailable', reason: 'connection' });
    });
  });

  describe('a batch of reads', () => {
    let server: Server;
    let written: string[];
    let sockets: Socket[];

    beforeEach(async () => {
      written = [];
      sockets = [];
      server = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => undefined).setEncoding('latin1');
        socket.on('data', (text: string) => {
          if (/^\*\d\r\n\$\d\r\n(?:GET|LRANGE)\r\n/i.test(text))
            written.push(text.replace(/\b(get|pttl)\b/g, (name) => name.toUpperCase()));
          // The handshake: every command has the same reply, also INFO.
          else socket.write('+OK\r\n'.repeat([...text.matchAll(/^\*\d+\r\n/gm)].length));
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      await connect(`redis://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });
    afterEach(async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    });

    const arrived = async (count: number): Promise<void> => {
      while (written.length < count) await new Promise(setImmediate);
    };

    it('is one write; the next one does not wait for its replies, which may arrive in any chunks', async () => {
      const first = fetchAll('a', 'bc');
      await arrived(1);
      const second = fetchAll('d');
      await arrived(2);
      const commands = (key: string) =>
        `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n*2\r\n$4\r\nPTTL\r\n$${key.length}\r\n${key}\r\n`;
      expect(written).toEqual([commands('a') + commands('bc'), commands('d')]);
      for (const byte of '$1\r\nA\r\n:-1\r\n$-1\r\n:-2\r\n$1\r\nD\r\n:77\r\n') {
        sockets[0].write(byte);
        await new Promise(setImmediate);
      }
      expect(await first).toEqual([value('A'), { kind: 'missing' }]);
      expect(await second).toEqual([value('D', 77)]);
    });

    it('has replies of any shape, which may arrive in any chunks', async () => {
      const replies = Promise.all([
        fetch('a'),
        ask('LRANGE', 'list', '0', '-1'),
        fetch('b'),
        ask('LRANGE', 'nobody', '0', '1'),
      ]);
      await arrived(1);
      const lrange = (key: string, stop: string): string =>
        `*4\r\n$6\r\nLRANGE\r\n$${key.length}\r\n${key}\r\n$1\r\n0\r\n$${stop.length}\r\n${stop}\r\n` + pttl(key);
      const pttl = (key: string): string => `*2\r\n$4\r\nPTTL\r\n$${key.length}\r\n${key}\r\n`;
      const get = (key: string): string => `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n${pttl(key)}`;
      expect(written).toEqual([get('a') + lrange('list', '-1') + get('b') + lrange('nobody', '1')]);
      const nested = '*3\r\n$2\r\n\r\n\r\n*2\r\n:-5\r\n*0\r\n$-1\r\n';
      for (const byte of `$1\r\nA\r\n:-1\r\n${nested}:77\r\n$1\r\nB\r\n:-1\r\n*0\r\n:-2\r\n`) {
        sockets[0].write(byte);
        await new Promise(setImmediate);
      }
      expect(await replies).toEqual([value('A'), reply(nested, 77), value('B'), missing('*0\r\n')]);
    });

    it('returns a TTL of 0 for a reply about a key that was deleted before PTTL', async () => {
      const received = Promise.all([ask('LRANGE', 'a', '0', '0'), ask('LRANGE', 'b', '0', '0')]);
      await arrived(1);
      sockets[0].write('*1\r\n$1\r\nA\r\n:-2\r\n*2\r\n$-1\r\n:0\r\n:-2\r\n');
      expect(await received).toEqual([reply('*1\r\n$1\r\nA\r\n', 0), missing('*2\r\n$-1\r\n:0\r\n')]);
    });

    it.each([
      ['a connection that is closed in the middle of a reply', '*2\r\n$1\r\nA\r\n$5\r\nab', true],
      ['a reply without a type', '*1\r\n?\r\n:-1\r\n', false],
      ['one reply too many', '*1\r\n$1\r\nA\r\n$1\r\nB\r\n:-1\r\n', false],
    ])('fails on %s', async (_, bytes, closes) => {
      const replies = Promise.all([ask('LRANGE', 'a', '0', '0'), fetch('b')]);
      await arrived(1);
      sockets[0].write(bytes);
      if (closes) sockets[0].end();
      const failed = { kind: 'unavailable', reason: expect.any(String) };
      expect(await replies).toEqual([failed, failed]);
      const states: boolean[] = [];
      reader.watch(({ reachable }) => states.push(reachable));
      while (states.at(-1) !== true || sockets.length < 2) await new Promise(setImmediate);
      const value = ask('LRANGE', 'a', '0', '0');
      await arrived(2);
      sockets[1].write('*1\r\n$1\r\nA\r\n:-1\r\n');
      expect(await value).toEqual(reply('*1\r\n$1\r\nA\r\n'));
    });

    it.each([
      ['LOADING Redis is loading the dataset in memory', { reason: 'LOADING', scope: 'server' }],
      ['READONLY You cannot write', { reason: 'READONLY', scope: 'command' }],
      ['NOAUTH Authentication required.', { reason: 'NOAUTH', scope: 'command' }],
      ['TRYAGAIN Multiple keys', { reason: 'TRYAGAIN', scope: 'command' }],
    ])('fails with the error %s, which does not concern the command', async (message, failure) => {
      const received = ask('LRANGE', 'a', '0', '0');
      await arrived(1);
      sockets[0].write(`-${message}\r\n-${message}\r\n`);
      expect(await received).toEqual({ kind: 'unavailable', ...failure });
    });

    it('returns a TTL of 0 for a value that was deleted between GET and PTTL', async () => {
      const reply = fetch('a');
      await arrived(1);
      sockets[0].write('$1\r\nA\r\n:-2\r\n');
      expect(await reply).toEqual(value('A', 0));
    });

    it('fails completely if the server uses another protocol', async () => {
      const replies = fetchAll('a', 'b');
      await arrived(1);
      sockets[0].write('HTTP/1.1 400 Bad Request\r\n');
      const connectionLost = { kind: 'unavailable', reason: expect.any(String) };
      expect(await replies).toEqual([connectionLost, connectionLost]);
    });

    it.each(['$1\r\nA\r\n', ':1\r\n', '+OK\r\n', '-ERR\r\n', 'HTTP/1.1 408 Request Timeout\r\n'])(
      'never accepts an unsolicited reply, which closes the connection: %j',
      async (reply) => {
        const states: boolean[] = [];
        reader.watch(({ reachable }) => states.push(reachable));
        sockets[0].write(reply);
        while (sockets.length < 2 || states.at(-1) !== true) await new Promise(setImmediate);
        expect(states).toEqual([true, false, true]);
        const value = fetch('a');
        await arrived(1);
        sockets[1].write('$1\r\nB\r\n:-1\r\n');
        expect(await value).toMatchObject({ kind: 'value', value: Buffer.from('B') });
      },
    );

    it('fails completely on a server-wide error', async () => {
      const replies = fetchAll('a');
      await arrived(1);
      sockets[0].write('-LOADING Redis is loading the dataset in memory\r\n-LOADING again\r\n');
      expect(await replies).toEqual([{ kind: 'unavailable', reason: 'LOADING', scope: 'server' }]);
    });
  });
});

/** Returns the reply to a command, encoded in RESP2, as a binary string. */
async function rawReply(port: number, words: readonly string[]): Promise<string> {
  const socket = connectTo(port, '127.0.0.1').setEncoding('latin1');
  const encoded = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
  socket.write(`*${words.length}\r\n${encoded}*1\r\n$4\r\nQUIT\r\n`);
  let received = '';
  for await (const part of socket) received += String(part);
  return received.slice(0, -'+OK\r\n'.length);
}

/** Starts a relay to Redis that splits its replies into parts of 1 to 5,000 bytes, each sent in a tick of its own. */
async function startSplittingRelay(port: number): Promise<Server> {
  let seed = 1;
  const server = createServer((client) => {
    const redis = connectTo(port, '127.0.0.1');
    for (const socket of [client.setNoDelay(true), redis]) socket.on('error', () => undefined);
    client.on('data', (part) => redis.write(part)).on('close', () => redis.destroy());
    redis.on('close', () => client.destroy());
    let sent = Promise.resolve();
    redis.on('data', (part) => {
      sent = sent.then(async () => {
        for (let at = 0; at < part.length;) {
          seed = (seed * 48_271) % 2_147_483_647;
          const size = seed % 4 === 0 ? 1 + (seed % 5000) : 1 + (seed % 7);
          client.write(part.subarray(at, at + size));
          at += size;
          await new Promise(setImmediate);
        }
      });
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
