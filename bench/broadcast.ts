/**
 * Measures the cost of invalidation messages (`CLIENT TRACKING … BCAST`) for Redis, by the number of proxies: CPU time of
 * redis-server per write and per invalidation, for single writes and for pipelines of fifty writes, whose invalidations are
 * one message per proxy. Takes a few seconds; Redis and the listeners run on this machine.
 */
import { connect, type Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { until } from '../test/support/processes.ts';
import { TestRedis } from '../test/support/redis.ts';
import { median, spread } from './spread.ts';

const PROXIES = [0, 1, 10, 100, 1000];
const PIPELINES = [1, 50];
const ROUNDS = 3;
const MAX_WRITES = 10_000;
/** Limits the duration with a thousand listeners. */
const MAX_INVALIDATIONS = 200_000;
const KEYS = 10_000;
const VALUE = 'v'.repeat(100);
/** Occurs once in each key, and nowhere else in the stream. */
const KEY_MARK = '#';
/** CPU time of a write without any listener, by writes per pipeline. */
const baseUs: Record<number, number> = {};

/** A connection that receives invalidations of all writes and only counts their keys. */
class Listener {
  keys = 0;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<Listener> {
    const socket = connect(port, '127.0.0.1');
    const listener = new Listener(socket);
    const send = (line: string): Promise<string> =>
      new Promise((resolve, reject) => {
        socket.once('data', (data) => resolve(data.toString('latin1')));
        socket.once('error', reject);
        socket.write(`${line}\r\n`);
      });
    const id = (await send('CLIENT ID')).slice(1).trim();
    const reply = await send(`CLIENT TRACKING ON REDIRECT ${id} BCAST`);
    if (!reply.startsWith('+OK')) throw new Error(reply);
    await send('SUBSCRIBE __redis__:invalidate');
    socket.on('data', (data) => (listener.keys += occurrences(data)));
    return listener;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Counts the keys in a part of the stream, without parsing it. */
function occurrences(data: Buffer): number {
  let count = 0;
  for (let at = data.indexOf(KEY_MARK); at !== -1; at = data.indexOf(KEY_MARK, at + 1)) count++;
  return count;
}

const redis = await TestRedis.start('--maxclients', '2000');
const version = /^redis_version:(.+)$/m.exec(await redis.client.info('server'))?.[1].trim();
const listeners: Listener[] = [];
const lines: string[] = [];
try {
  for (const proxies of PROXIES) {
    while (listeners.length < proxies) listeners.push(await Listener.open(redis.port));
    for (const pipeline of PIPELINES) lines.push(await measure(redis.client, proxies, pipeline));
  }
} finally {
  for (const listener of listeners) listener.close();
  await redis.stop();
}
console.log(
  '| proxies | writes at a time | CPU time of Redis per write | per invalidation |\n| --- | --- | --- | --- |',
);
console.log(`${lines.join('\n')}\n\nredis-server ${version}; medians of ${ROUNDS} rounds (minimum–maximum)`);

async function measure(client: Redis, proxies: number, pipeline: number): Promise<string> {
  console.error(`${proxies} proxies, ${pipeline} writes at a time`);
  const batches = Math.floor(Math.min(MAX_WRITES, MAX_INVALIDATIONS / Math.max(1, proxies)) / pipeline);
  const costs: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) costs.push(await costOf(client, batches, pipeline));
  // The first round is a warm-up.
  const perWrite = costs.slice(1);
  const base = (baseUs[pipeline] ??= median(perWrite));
  const perInvalidation =
    proxies === 0
      ? ''
      : `${spread(
          perWrite.map((us) => (us - base) / proxies),
          2,
        )} µs`;
  return `| ${proxies.toLocaleString('en')} | ${pipeline} | ${spread(perWrite, 1)} µs | ${perInvalidation} |`;
}

/** Returns the CPU time of Redis per write in microseconds, including its delivery to all listeners. */
async function costOf(client: Redis, batches: number, pipeline: number): Promise<number> {
  const due = receivedKeys() + batches * pipeline * listeners.length;
  const before = await cpuUs(client);
  for (let batchIndex = 0; batchIndex < batches; batchIndex++) {
    const batch = client.pipeline();
    for (let i = 0; i < pipeline; i++) batch.set(`key${KEY_MARK}${(batchIndex * pipeline + i) % KEYS}`, VALUE);
    await batch.exec();
  }
  await until('all listeners have received all invalidations', () =>
    Promise.resolve(receivedKeys() >= due ? true : undefined),
  );
  return ((await cpuUs(client)) - before) / (batches * pipeline);
}

function receivedKeys(): number {
  return listeners.reduce((sum, { keys }) => sum + keys, 0);
}

async function cpuUs(client: Redis): Promise<number> {
  const info = await client.info('cpu');
  const seconds = ['sys', 'user'].map((part) => new RegExp(`^used_cpu_${part}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return seconds.reduce((sum, text) => sum + Number(text), 0) * 1e6;
}
