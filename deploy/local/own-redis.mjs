import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChildProcess } from './child-process.mjs';
import { freePort } from './ports.mjs';
import { connectTo } from './redis-connection.mjs';

const START_MS = 10_000;
const STOP_MS = 5_000;

/** A redis-server for the time being: reachable from this machine alone, everything in memory, gone when stopped. */
export class OwnRedis {
  #process;
  #folder;
  #log = '';

  constructor(process, folder, port) {
    this.#process = process;
    this.#folder = folder;
    this.port = port;
    this.url = `redis://127.0.0.1:${port}/0`;
    for (const output of process.outputs) {
      output.setEncoding('utf8').on('data', (text) => (this.#log = `${this.#log}${text}`.slice(-4000)));
    }
  }

  /**
   * Starts one and waits until it answers.
   * @param {string} program the path of redis-server
   * @throws {Error} with what redis-server said, when it does not come up
   */
  static async start(program) {
    const folder = await mkdtemp(join(tmpdir(), 'redis-http-cache-proxy-'));
    const port = await freePort();
    const parameters = [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder],
      ...['--save', '', '--appendonly', 'no', '--daemonize', 'no'],
    ];
    const process = new ChildProcess(program, parameters, {
      stdio: ['ignore', 'pipe', 'pipe'],
      scratchFolder: folder,
    });
    const redis = new OwnRedis(process, folder, port);
    try {
      await redis.#answers();
      return redis;
    } catch (error) {
      await redis.stop();
      throw error;
    }
  }

  /** Settles when the server has ended, with what it said if it failed. */
  get ended() {
    return this.#process.ended.then(({ code, error }) => (error ? error.message : code === 0 ? '' : this.#log.trim()));
  }

  async stop() {
    await this.#process.stop(STOP_MS);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #answers() {
    let failure;
    const ended = this.ended.then((log) => {
      failure = `redis-server has ended at once:\n${log}`;
    });
    for (const deadline = Date.now() + START_MS; Date.now() < deadline && !failure;) {
      const connection = await connectTo(this.url);
      if (connection) return connection.disconnect();
      await Promise.race([delay(50), ended]);
    }
    throw new Error(failure ?? `redis-server did not answer within ${START_MS / 1000} s:\n${this.#log}`);
  }
}
