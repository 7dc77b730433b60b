import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChildProcess } from './child-process.mjs';
import { anyFreePort } from './ports.mjs';
import { connectTo } from './redis-connection.mjs';

const START_MS = 10_000;
const STOP_MS = 5_000;

/** A temporary redis-server: reachable from this machine alone, without persistence, removed when it is stopped. */
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
   * Starts a redis-server and waits until it replies.
   * @param {string} program the path of redis-server
   * @throws {Error} with the log of redis-server, if it does not start
   */
  static async start(program) {
    const folder = await mkdtemp(join(tmpdir(), 'redis-http-cache-proxy-'));
    const port = await anyFreePort();
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
      await redis.#waitUntilReady();
      return redis;
    } catch (error) {
      await redis.stop();
      throw error;
    }
  }

  /** Resolves when the server has exited, with its log if it failed. */
  get ended() {
    return this.#process.ended.then(({ code, error }) => (error ? error.message : code === 0 ? '' : this.#log.trim()));
  }

  async stop() {
    await this.#process.stop(STOP_MS);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #waitUntilReady() {
    let failure;
    const ended = this.ended.then((log) => {
      failure = `redis-server exited at once:\n${log}`;
    });
    for (const deadline = Date.now() + START_MS; Date.now() < deadline && !failure;) {
      const connection = await connectTo(this.url);
      if (connection) return connection.disconnect();
      await Promise.race([delay(50), ended]);
    }
    throw new Error(failure ?? `redis-server did not reply within ${START_MS / 1000} s:\n${this.#log}`);
  }
}
