/**
 * What it costs a Redis to tell so many proxies of its writes (`CLIENT TRACKING … BCAST`, as the proxy asks for it): CPU
 * time of redis-server per write, and per invalidation, for writes that come one by one and for writes that come fifty in
 * one piece, whose news is one message to each proxy. Some seconds; Redis and listeners are on this machine.
 */
import { connect, type Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { until } from '../test/support/processes.ts';
import { TestRedis } from '../test/support/redis.ts';
import { median, spread } from './spread.ts';

const PROXIES = [0, 1, 10, 100, 1000];
const PIPELINES = [1, 50];
const ROUNDS = 3;
const MOST_WRITES = 10_000;
/** So that a thousand listeners take no minutes. */
const MOST_INVALIDATIONS = 200_000;
const KEYS = 10_000;
const VALUE = 'v'.repeat(100);
/** Stands once in each key, and nowhere else in the stream. */
const KEY_MARK = '#';
/** CPU time of a write that nobody is told of, by the writes at a time. */
const baseUs: Record<number, number> = {};

/** A connection that is told of all writes, and does nothing but count the keys in what it is told. */
class Listener {
  keys = 0;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<Listener> {
    const socket = connect(port, '127.0.0.1');
    const listener = new Listener(socket);
    const ask = (line: string): Promise<string> =>
      new Promise((resolve, reject) => {
        socket.once('data', (data) => resolve(data.toString('latin1')));
        socket.once('error', reject);
        socket.write(`${line}\r\n`);
      });
    const id = (await ask('CLIENT ID')).slice(1).trim();
    const answer = await ask(`CLIENT TRACKING ON REDIRECT ${id} BCAST`);
    if (!answer.startsWith('+OK')) throw new Error(answer);
    await ask('SUBSCRIBE __redis__:invalidate');
    socket.on('data', (data) => (listener.keys += occurrences(data)));
    return listener;
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Keys in a part of the stream, found without a parser. */
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
console.log(`${lines.join('\n')}\n\nredis-server ${version}; medians of ${ROUNDS} rounds (least–most)`);

async function measure(client: Redis, proxies: number, pipeline: number): Promise<string> {
  console.error(`${proxies} proxies, ${pipeline} writes at a time`);
  const turns = Math.floor(Math.min(MOST_WRITES, MOST_INVALIDATIONS / Math.max(1, proxies)) / pipeline);
  const costs: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) costs.push(await costOf(client, turns, pipeline));
  // The first round is for warming up.
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

/** Microseconds of Redis' CPU time for a write, until all listeners have heard of it. */
async function costOf(client: Redis, turns: number, pipeline: number): Promise<number> {
  const due = heard() + turns * pipeline * listeners.length;
  const before = await cpuUs(client);
  for (let turn = 0; turn < turns; turn++) {
    const batch = client.pipeline();
    for (let i = 0; i < pipeline; i++) batch.set(`key${KEY_MARK}${(turn * pipeline + i) % KEYS}`, VALUE);
    await batch.exec();
  }
  await until('all listeners have heard of all writes', () => Promise.resolve(heard() >= due ? true : undefined));
  return ((await cpuUs(client)) - before) / (turns * pipeline);
}

function heard(): number {
  return listeners.reduce((sum, { keys }) => sum + keys, 0);
}

async function cpuUs(client: Redis): Promise<number> {
  const info = await client.info('cpu');
  const seconds = ['sys', 'user'].map((part) => new RegExp(`^used_cpu_${part}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return seconds.reduce((sum, text) => sum + Number(text), 0) * 1e6;
}
