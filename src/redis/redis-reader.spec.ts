import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { TestRedis } from '../../test/support/redis.ts';
import { loadSettings } from '../config/load-settings.ts';
import { probeRedisBatches } from './ioredis-internals/probe.ts';
import { redisBatches } from './ioredis-internals/redis-batches.ts';
import type { RedisTtl, RedisReply } from './redis-reply.ts';
import { createRedisReader } from './redis.module.ts';
import type { RedisReader } from './redis-reader.ts';
import type { ValueMemory } from './connection/value-memory.ts';
import { Query } from './query.ts';

const TIMEOUT_MS = 500;

/** Never at its limit. */
const ANY_MEMORY: ValueMemory = { allocate: (bytes) => Buffer.alloc(bytes), releaseAfterTick: () => undefined };

let reader: RedisReader;

async function connect(url: string, settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const environment = { REDIS_URL: url, REDIS_COMMAND_TIMEOUT_MS: '10000', ...settings };
  const { redis, cache } = loadSettings(environment, '/nowhere');
  reader = createRedisReader(redis, cache);
  await reader.connect();
}

const fetch = (key: string | Buffer): Promise<RedisReply> =>
  new Promise((onReply) => reader.fetch(Query.get(Buffer.from(key)), onReply, ANY_MEMORY));
const fetchAll = (...keys: (string | Buffer)[]): Promise<RedisReply[]> => Promise.all(keys.map(fetch));
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
      expect(await waiting).toEqual([value('of b'), value('of a')]);
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
        while (states.at(-1) !== 'closed') await new Promise(setImmediate);
        expect(states).toEqual(['closed', 'open', 'half-open', 'closed']);
        expect(await reader.ttl(Buffer.from('a'))).toEqual({ kind: 'missing' });
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
      reader.fetch(Query.get(Buffer.from('a')), (received) => (reply = received), ANY_MEMORY);
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
          if (/^\*2\r\n\$3\r\nGET/i.test(text))
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
