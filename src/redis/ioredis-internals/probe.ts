import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { BatchObserver } from '../connection/read-batch.ts';
import { ReadCommands } from '../connection/read-commands.ts';
import type { RedisReply } from '../redis-reply.ts';
import { UNLIMITED_MEMORY } from '../connection/value-memory.ts';
import { DirectBatch } from './direct-batch.ts';
import { redisBatches } from './redis-batches.ts';
import { ReplyReader } from './reply-reader.ts';
import { Query } from '../query.ts';

/** Much longer than a loopback connection needs, even on a busy machine. */
const TIMEOUT_MS = 5000;
const MAX_VALUE_BYTES = 8;

/** Replies of the probe's server; the reply to any other command is OK. */
const REPLIES: Readonly<Record<string, string>> = {
  'GET text': '$4\r\ntext\r\n',
  'PTTL text': ':77\r\n',
  'GET nothing': '$-1\r\n',
  'PTTL nothing': ':-2\r\n',
  'GET list': '-WRONGTYPE Operation against a key\r\n',
  'PTTL list': ':-1\r\n',
  'GET long': '$9\r\ntoo large\r\n',
  'PTTL long': ':-1\r\n',
  'SMISMEMBER set a': '*1\r\n:1\r\n',
  'PTTL set': ':-1\r\n',
  'GET unasked': '$1\r\na\r\n$1\r\nb\r\n',
  ping: '+PONG\r\n',
  'get own': '$3\r\nown\r\n',
};

const EXPECTED: readonly RedisReply[] = [
  { kind: 'value', value: Buffer.from('text'), ttlMs: 77 },
  { kind: 'missing' },
  { kind: 'wrong-type' },
  { kind: 'value-too-large' },
  { kind: 'value', value: Buffer.from('*1\r\n:1\r\n'), ttlMs: undefined },
];

const MEMBERSHIP = Query.of(
  Buffer.from('set'),
  ['SMISMEMBER', 'a'].map((word) => Buffer.from(word)),
);
const NO_OBSERVER: BatchObserver = {
  onCircuitOutcome: () => undefined,
  onGetReply: () => undefined,
  onRefusedQuery: () => undefined,
};

/**
 * Enables reads with private parts of ioredis in this thread if they behave as expected against a local server with known
 * replies. Never rejects.
 */
export function probeRedisBatches(): Promise<void> {
  return redisBatches.probe(async () => {
    const server = await startServer();
    const { port } = server.address() as AddressInfo;
    const redis = new Redis({ port, host: '127.0.0.1', protocol: 2, lazyConnect: true, retryStrategy: () => null });
    redis.on('error', () => undefined);
    const timer = new AbortController();
    try {
      await Promise.race([tryReads(redis), failAfter(TIMEOUT_MS, timer.signal)]);
    } finally {
      timer.abort();
      redis.disconnect();
      server.close();
    }
  });
}

async function tryReads(redis: Redis): Promise<void> {
  await redis.connect();
  if (!ReplyReader.attach(redis, MAX_VALUE_BYTES)) throw new Error('the decoder of ioredis was not found');
  // Between commands of ioredis; the reply to the last one is decoded by ioredis, with everything that follows.
  const reads = read(redis, 'text', 'nothing', 'list', 'long', MEMBERSHIP);
  const pong = redis.ping();
  const secondValue = read(redis, 'text');
  expectReplies(await reads, EXPECTED);
  expectReplies(await secondValue, EXPECTED.slice(0, 1));
  const ioredisReply = redis.getBuffer('own');
  expectReplies(await read(redis, 'text', 'nothing'), EXPECTED.slice(0, 2));
  if ((await pong) !== 'PONG' || !(await ioredisReply)?.equals(Buffer.from('own')))
    throw new Error('ioredis lost a reply');
  const closed = new Promise((resolve) => redis.once('close', resolve));
  const [broken] = await read(redis, 'unasked');
  if (broken.kind !== 'unavailable') throw new Error('an unsolicited reply was accepted');
  await closed;
}

/** Reads keys, and the results of queries, in one batch. */
function read(redis: Redis, ...reads: (string | Query)[]): Promise<RedisReply[]> {
  const batch = new DirectBatch(new ReadCommands('all'), TIMEOUT_MS, NO_OBSERVER);
  const queries = reads.map((each) => (typeof each === 'string' ? Query.get(Buffer.from(each)) : each));
  const replies = queries.map(
    (query) => new Promise<RedisReply>((onReply) => batch.add(query, onReply, UNLIMITED_MEMORY)),
  );
  batch.send(redis);
  return Promise.all(replies);
}

function expectReplies(replies: readonly RedisReply[], expected: readonly RedisReply[]): void {
  if (JSON.stringify(replies) !== JSON.stringify(expected)) throw new Error('the replies do not match the requests');
}

async function failAfter(ms: number, signal: AbortSignal): Promise<never> {
  await delay(ms, undefined, { signal });
  throw new Error(`no replies within ${ms} ms`);
}

async function startServer(): Promise<Server> {
  const server = createServer((socket: Socket) => {
    let rest = '';
    socket.on('error', () => socket.destroy()).setEncoding('latin1');
    socket.on('data', (text: string) => {
      let replies = '';
      rest = (rest + text).replace(/\*\d+\r\n((?:\$\d+\r\n[^\r]*\r\n)+)(?=\*|$)/g, (_all, parts: string) => {
        replies += replyTo(parts);
        return '';
      });
      if (replies !== '') socket.write(replies, 'latin1');
    });
  });
  server.listen({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  return server;
}

function replyTo(parts: string): string {
  const words = parts.split('\r\n').filter((_part, index) => index % 2 === 1);
  return REPLIES[words.join(' ')] ?? '+OK\r\n';
}
