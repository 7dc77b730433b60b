import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { Child, freePort, until } from './processes.ts';
import { redisClient } from './redis-client.ts';

/** Settings of time-outs, with which a Redis or a thread that does not run for seconds, on a busy machine, does not fail a read. */
export const PATIENT_TIMEOUTS = { REDIS_COMMAND_TIMEOUT_MS: '10000', REDIS_CONNECT_TIMEOUT_MS: '10000' } as const;

/** A real Redis, and a client that the test uses to write and inspect data. */
export class TestRedis {
  readonly url: string;
  readonly client: Redis;
  readonly server: Child | undefined;
  readonly port: number;
  readonly #args: readonly string[];
  readonly #directory: string | undefined;

  private constructor(
    url: string,
    server: Child | undefined,
    port: number,
    args: readonly string[],
    directory?: string,
  ) {
    this.url = url;
    this.server = server;
    this.port = port;
    this.#args = args;
    this.#directory = directory;
    this.client = redisClient(url);
  }

  /** Starts a redis-server of the test's own, or uses the one at REDIS_URL when the proxy runs already. */
  static async start(...args: string[]): Promise<TestRedis> {
    // The default is the proxy's own.
    const { PROXY_URL, REDIS_URL = 'redis://127.0.0.1:6379/0' } = process.env;
    if (PROXY_URL !== undefined) return new TestRedis(REDIS_URL, undefined, 0, []);
    const port = await freePort();
    const directory = mkdtempSync(join(tmpdir(), 'test-redis-'));
    const all = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', directory, ...args];
    const redis = new TestRedis(`redis://127.0.0.1:${port}/0`, launch(all), port, all, directory);
    await redis.untilReady();
    return redis;
  }

  /** Starts the same Redis after it was killed; empty unless it is persistent. */
  async restart(): Promise<TestRedis> {
    const restarted = new TestRedis(this.url, launch(this.#args), this.port, this.#args, this.#directory);
    await restarted.untilReady();
    this.client.disconnect();
    return restarted;
  }

  async untilReady(): Promise<void> {
    await until('Redis replies to PING', async () => {
      if (this.server?.running === false) throw new Error(`redis-server ended: ${this.server.output}`);
      return this.client.status === 'ready' && (await this.client.ping()) === 'PONG' ? true : undefined;
    });
  }

  /** Returns the number of calls of a command since the last {@link forgetCalls}. */
  async calls(command: string): Promise<number> {
    const stats = await this.client.info('commandstats');
    return Number(new RegExp(`^cmdstat_${command}:calls=(\\d+)`, 'm').exec(stats)?.[1] ?? 0);
  }

  async forgetCalls(): Promise<void> {
    await this.client.config('RESETSTAT');
  }

  async stop(): Promise<void> {
    this.client.disconnect();
    await this.server?.stop('SIGKILL');
    if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
  }
}

function launch(args: readonly string[]): Child {
  return new Child('redis-server', args, { env: process.env });
}
