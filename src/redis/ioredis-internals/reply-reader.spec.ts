import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { ReadCommands } from '../connection/read-commands.ts';
import { type RedisReply, TOO_LARGE } from '../redis-reply.ts';
import { DirectBatch } from './direct-batch.ts';
import { ReplyReader } from './reply-reader.ts';
import type { BatchObserver } from '../connection/read-batch.ts';
import { UNLIMITED_MEMORY } from '../connection/value-memory.ts';
import { Query } from '../query.ts';

interface ScriptedReply {
  /** A query other than GET. */
  readonly query?: Query;
  readonly bytes: Buffer;
  readonly reply: RedisReply;
}

const COMMANDS = new ReadCommands('all');
const CRLF = Buffer.from('\r\n');
/** Maximum size of a value. */
const MAX_BYTES = 25;
const IGNORE = (): void => undefined;
const NO_OBSERVER: BatchObserver = { onCircuitOutcome: IGNORE, onGetReply: IGNORE, onRefusedQuery: IGNORE };

const bytes = fc.uint8Array({ maxLength: 30 }).map((array) => Buffer.from(array));
const ttl = fc.oneof(fc.constantFrom(-1, -2), fc.nat());
const value = fc.tuple(bytes, ttl).map(([received, pttl]): ScriptedReply => {
  const encoded = Buffer.concat([Buffer.from(`$${received.length}\r\n`), received, Buffer.from(`\r\n:${pttl}\r\n`)]);
  if (received.length > MAX_BYTES) return { bytes: encoded, reply: { kind: 'value-too-large' } };
  return {
    bytes: encoded,
    reply: { kind: 'value', value: received, ttlMs: pttl === -1 ? undefined : Math.max(0, pttl) },
  };
});
const other = fc.constantFrom<ScriptedReply>(
  { bytes: Buffer.from('$-1\r\n:-2\r\n'), reply: { kind: 'missing' } },
  { bytes: Buffer.from('_\r\n:-2\r\n'), reply: { kind: 'missing' } },
  { bytes: Buffer.from('-WRONGTYPE holds a list\r\n:-1\r\n'), reply: { kind: 'wrong-type' } },
  {
    bytes: Buffer.from('-LOADING a\r\n-LOADING b\r\n'),
    reply: { kind: 'unavailable', reason: 'LOADING', scope: 'server' },
  },
  { bytes: Buffer.from('$1\r\na\r\n-NOPERM\r\n'), reply: { kind: 'unavailable', reason: 'NOPERM', scope: 'command' } },
);
const LRANGE = Query.of(
  Buffer.from('list'),
  ['LRANGE', '0', '-1'].map((word) => Buffer.from(word)),
);
/** The reply to a query other than GET, and to PTTL. */
const queried = fc.tuple(fc.array(bytes, { maxLength: 3 }), fc.integer({ min: -2, max: 10 })).map(([list, pttl]) => {
  const elements = list.map((each) => Buffer.concat([Buffer.from(`*1\r\n$${each.length}\r\n`), each, CRLF]));
  const reply = Buffer.concat([Buffer.from(`*${list.length}\r\n`), ...elements]);
  const scripted = { query: LRANGE, bytes: Buffer.concat([reply, Buffer.from(`:${pttl}\r\n`)]) };
  if (reply.length > MAX_BYTES) return { ...scripted, reply: TOO_LARGE };
  if (pttl === -2 && list.every(({ length }) => length === 0)) {
    return { ...scripted, reply: { kind: 'missing', reply } } as const;
  }
  const ttlMs = pttl === -1 ? undefined : Math.max(0, pttl);
  return { ...scripted, reply: { kind: 'value', value: reply, ttlMs } } as const;
});
const failedQuery = fc.constantFrom<ScriptedReply>(
  {
    query: LRANGE,
    bytes: Buffer.from('-WRONGTYPE holds a string\r\n:-1\r\n'),
    reply: { kind: 'error-reply', message: 'WRONGTYPE holds a string' },
  },
  {
    query: LRANGE,
    bytes: Buffer.from('-LOADING a\r\n-LOADING b\r\n'),
    reply: { kind: 'unavailable', reason: 'LOADING', scope: 'server' },
  },
);
/** The replies to a batch, or to a PING, which ioredis sends itself. */
const batch = fc.array(
  fc.oneof({ weight: 4, arbitrary: value }, other, { weight: 2, arbitrary: queried }, failedQuery),
  { minLength: 1, maxLength: 8 },
);
const sent = fc.array(fc.oneof({ weight: 3, arbitrary: batch }, fc.constant('ping' as const)), {
  minLength: 1,
  maxLength: 5,
});
const offsets = fc.array(fc.nat(400), { maxLength: 12 });

describe('ReplyReader, for replies in any chunks,', () => {
  let server: Server;
  let redis: Redis;

  beforeAll(async () => {
    server = await startSilentServer();
    redis = new Redis((server.address() as AddressInfo).port, { enableReadyCheck: false });
    await once(redis, 'ready');
    ReplyReader.attach(redis, MAX_BYTES);
  });
  afterAll(async () => {
    redis.disconnect();
    server.close();
    await once(server, 'close');
  });

  it('delivers the replies of reads in order and passes other replies to ioredis', async () => {
    await fc.assert(
      fc.asyncProperty(sent, offsets, async (all, at) => {
        const received: RedisReply[] = [];
        const pings: Promise<unknown>[] = [];
        for (const each of all) {
          if (each === 'ping') pings.push(redis.ping());
          else send(redis, each, (reply) => received.push(reply));
        }
        const bytes = Buffer.concat(
          all.flatMap((each) => (each === 'ping' ? [Buffer.from('+PONG\r\n')] : each.map((one) => one.bytes))),
        );
        for (const portion of portions(bytes, at)) redis.stream.emit('data', portion);
        expect(received).toEqual(all.flatMap((each) => (each === 'ping' ? [] : each.map((one) => one.reply))));
        expect(await Promise.all(pings)).toEqual(pings.map(() => 'PONG'));
        expect(redis.commandQueue.length).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('discards replies after the time-out and never delivers them to other reads', () => {
    const received: RedisReply[] = [];
    const outcomes: RedisReply['kind'][] = [];
    const later = new DirectBatch(COMMANDS, 1000, {
      ...NO_OBSERVER,
      onCircuitOutcome: ({ kind }) => outcomes.push(kind),
    });
    for (const key of ['a', 'b'])
      later.add(Query.get(Buffer.from(key)), (reply) => received.push(reply), UNLIMITED_MEMORY);
    later.send(redis);
    redis.stream.emit('data', Buffer.from('$1\r\nA\r\n:-1\r\n$1\r\n'));
    later.failAll({ kind: 'timeout' });
    const next = new DirectBatch(COMMANDS, 1000, NO_OBSERVER);
    next.add(Query.get(Buffer.from('c')), (reply) => received.push(reply), UNLIMITED_MEMORY);
    next.send(redis);
    redis.stream.emit('data', Buffer.from('B\r\n:-1\r\n$1\r\nC\r\n:5\r\n'));
    expect(received).toEqual([
      { kind: 'value', value: Buffer.from('A'), ttlMs: undefined },
      { kind: 'timeout' },
      { kind: 'value', value: Buffer.from('C'), ttlMs: 5 },
    ]);
    expect(outcomes).toEqual(['value']);
  });

  it('discards replies to queries after the time-out, also in the middle of one', () => {
    const received: RedisReply[] = [];
    const onReply = (reply: RedisReply): unknown => received.push(reply);
    const late = new DirectBatch(COMMANDS, 1000, NO_OBSERVER);
    for (const query of [LRANGE, Query.get(Buffer.from('a')), LRANGE]) late.add(query, onReply, UNLIMITED_MEMORY);
    late.send(redis);
    redis.stream.emit('data', Buffer.from('*2\r\n$1\r\n'));
    late.failAll({ kind: 'timeout' });
    const next = new DirectBatch(COMMANDS, 1000, NO_OBSERVER);
    next.add(LRANGE, onReply, UNLIMITED_MEMORY);
    next.send(redis);
    redis.stream.emit(
      'data',
      Buffer.from('A\r\n*0\r\n:-1\r\n$1\r\nB\r\n:-1\r\n*1\r\n:1\r\n:-1\r\n*1\r\n:2\r\n:-1\r\n'),
    );
    expect(received).toEqual([
      ...Array<RedisReply>(3).fill({ kind: 'timeout' }),
      { kind: 'value', value: Buffer.from('*1\r\n:2\r\n'), ttlMs: undefined },
    ]);
  });

  it('encodes the replies to queries that ioredis has decoded, because it was in the middle of another one', async () => {
    const received: RedisReply[] = [];
    const info = redis.info();
    send(redis, [{ query: LRANGE, bytes: CRLF, reply: { kind: 'missing' } }], (reply) => received.push(reply));
    const nested = '*3\r\n$1\r\na\r\n*1\r\n:5\r\n$-1\r\n';
    redis.stream.emit('data', Buffer.from(`$4\r\ninfo\r\n${nested}:-1\r\n`));
    expect(await info).toBe('info');
    expect(received).toEqual([{ kind: 'value', value: Buffer.from(nested), ttlMs: undefined }]);
  });

  it('reports a success even if all replies arrive after the time-out; a late error is not reported', () => {
    const outcomes: RedisReply['kind'][] = [];
    const later = new DirectBatch(COMMANDS, 1000, {
      ...NO_OBSERVER,
      onCircuitOutcome: ({ kind }) => outcomes.push(kind),
    });
    for (const key of ['a', 'b', 'c']) later.add(Query.get(Buffer.from(key)), IGNORE, UNLIMITED_MEMORY);
    later.send(redis);
    later.failAll({ kind: 'timeout' });
    expect(outcomes).toEqual(['timeout']);
    redis.stream.emit('data', Buffer.from('-LOADING\r\n-LOADING\r\n'));
    expect(outcomes).toEqual(['timeout']);
    redis.stream.emit('data', Buffer.from('$-1\r\n:-2\r\n$1\r\nC\r\n:5\r\n'));
    expect(outcomes).toEqual(['timeout', 'missing']);
  });
});

describe('replies that do not match the requests', () => {
  const lines = (...parts: string[]): string => parts.map((part) => `${part}\r\n`).join('');

  it.each([
    ['replies to other commands before them', lines(':5', '$1', 'A', ':-1', '$1', 'B', ':-1')],
    ['one too few', lines('$1', 'A', '$1', 'B', ':-1')],
    ['a list', lines('*1', '$1', 'A', ':-1')],
    ['a list and nulls', lines('*1', '$1', 'A', '$-1', ':-1', '$-1', '$-1', '*-1')],
    ['a simple string and nulls', lines('+OK', '$-1', '$-1', '$-1')],
    ['a value that is longer than its length', lines('$1', 'AB', ':-1')],
    ['an invalid length', lines('$x', 'A', ':-1')],
    ['another protocol', lines('HTTP/1.1 400 Bad Request', '')],
    ['random bytes', '\0\u00ff\u0001\u0002'.repeat(50)],
  ])('close the connection and fail all its reads: %s', async (_, bytes) => {
    const server = await startSilentServer();
    for (const bytewise of [false, true]) {
      const { port } = server.address() as AddressInfo;
      const redis = new Redis({ port, enableReadyCheck: false, retryStrategy: () => null });
      redis.on('error', () => undefined);
      await once(redis, 'ready');
      ReplyReader.attach(redis, MAX_BYTES);
      const received: RedisReply[] = [];
      const [first, second] = [0, 1].map(() => new DirectBatch(COMMANDS, 10_000, NO_OBSERVER));
      for (const batch of [first, second]) {
        batch.add(Query.get(Buffer.from('key')), (reply) => received.push(reply), UNLIMITED_MEMORY);
        batch.send(redis);
      }
      const closed = new Promise((resolve) => redis.once('close', resolve));
      for (const portion of bytewise ? bytes : [bytes]) redis.stream.emit('data', Buffer.from(portion, 'latin1'));
      await closed;
      const values = received.filter(({ kind }) => kind !== 'unavailable');
      // Replies before the first invalid one are delivered.
      expect(values).toEqual(
        values.slice(0, 1).map(() => ({ kind: 'value', value: Buffer.from('A'), ttlMs: undefined })),
      );
      expect(received).toHaveLength(2);
      redis.disconnect();
    }
    server.close();
    await once(server, 'close');
  });
});

it('replies that do not match the requests fail all reads also if ioredis decodes them', async () => {
  const server = await startSilentServer();
  const redis = new Redis({
    port: (server.address() as AddressInfo).port,
    retryStrategy: () => null,
    enableReadyCheck: false,
  });
  redis.on('error', () => undefined);
  await once(redis, 'ready');
  ReplyReader.attach(redis, MAX_BYTES);
  const info = redis.info();
  const received: RedisReply[] = [];
  send(redis, [{ bytes: CRLF, reply: TOO_LARGE }], (reply) => received.push(reply));
  const closed = new Promise((resolve) => redis.once('close', resolve));
  redis.stream.emit('data', Buffer.from('$4\r\ninfo\r\n*1\r\n$-1\r\n$-1\r\n$-1\r\n-ERR a\r\n$-1\r\n'));
  await closed;
  expect([await info, received]).toEqual(['info', [{ kind: 'unavailable', reason: 'PROTOCOL' }]]);
  redis.disconnect();
  server.close();
  await once(server, 'close');
});

/** Starts a server that replies to the handshake only; the test sends the other replies. */
async function startSilentServer(): Promise<Server> {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => undefined).setEncoding('latin1');
    socket.on('data', (text: string) => {
      const handshake = !/GET|ping/.test(text);
      if (handshake) socket.write('+OK\r\n'.repeat([...text.matchAll(/^\*\d+\r\n/gm)].length));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function send(redis: Redis, replies: readonly ScriptedReply[], onReply: (reply: RedisReply) => void): void {
  const reads = new DirectBatch(COMMANDS, 10_000, NO_OBSERVER);
  for (const [index, { query = Query.get(Buffer.from(`key ${index}`)) }] of replies.entries()) {
    reads.add(query, onReply, UNLIMITED_MEMORY);
  }
  reads.send(redis);
}

/** Splits the bytes at the given positions. */
function portions(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const bounds = [0, ...offsets.filter((at) => at < bytes.length).sort((a, b) => a - b), bytes.length];
  return bounds.slice(1).map((to, index) => bytes.subarray(bounds[index], to));
}
