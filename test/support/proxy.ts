import type { ConnectionOptions } from 'node:tls';
import { type Redis } from 'ioredis';
import { Child, until } from './processes.ts';
import { PATIENT_TIMEOUTS } from './redis.ts';
import { type TestResponse, type TestRequest, sendRequest } from './http-client.ts';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;
const PRELOAD = new URL('./adjustable-clock.mjs', import.meta.url).href;
/** What V8 has compiled, for all proxies of a run; removed by the next build. It saves a seventh of the CPU time of a start. */
const COMPILED = new URL('../../build/compile-cache', import.meta.url).pathname;
const MAX_WAIT_MS = 5000;
const TRIGGER_INTERVAL_MS = 5;

/** URLs of proxies that already run (PROXY_URL, separated by commas); undefined if the tests start their own. */
export const RUNNING = process.env.PROXY_URL?.split(',');

export type Settings = Readonly<Record<string, string | number>>;

/** A fault that a test injects into a thread of its own proxy. */
export type ThreadFault = 'terminate' | 'throw' | 'exhaust memory' | 'stall in critical section';

/** Reply to a command: it has been carried out. */
interface CommandReply {
  readonly done?: number;
  readonly problem?: string;
}

/** A proxy, seen as its clients see it. */
export class TestProxy {
  readonly url: string;
  /** URL of health, metrics and the admin API: that of OPS_PORT if it is set. */
  readonly opsUrl: string;
  readonly child: Child | undefined;
  readonly settings: Settings;
  /** Options of the connections of this object, if the proxy uses TLS. */
  readonly tls: ConnectionOptions;
  #commands = 0;
  #clockStopped = false;

  private constructor(
    url: string,
    child: Child | undefined,
    settings: Settings,
    opsUrl = url,
    tls: ConnectionOptions = {},
  ) {
    this.url = url;
    this.opsUrl = opsUrl;
    this.child = child;
    this.settings = settings;
    this.tls = tls;
  }

  /** Starts the built proxy on a free port. */
  static async start(
    settings: Settings,
    cwd = '/',
    whenReady = settings.REDIS_URL !== undefined,
    flags: readonly string[] = [],
    tls: ConnectionOptions = {},
  ): Promise<TestProxy> {
    const child = launch(settings, cwd, true, flags);
    try {
      const url = await until('the proxy listens', () => {
        if (!child.running) throw new Error(`the proxy ended: ${child.errors}${child.output}`);
        return /"message":"listening on (https?:[^"]+)"/.exec(child.output)?.[1];
      });
      const [, opsUrl] = /"message":"listening for operations on (http:[^"]+)"/.exec(child.output) ?? [];
      const proxy = new TestProxy(url, child, settings, opsUrl, tls);
      if (whenReady) await proxy.ready();
      return proxy;
    } catch (error) {
      await child.stop('SIGKILL');
      throw error;
    }
  }

  /** Returns the `index`-th of the proxies that already run, or starts one with these settings. */
  static async use(settings: Settings, index = 0): Promise<TestProxy> {
    if (RUNNING === undefined) return TestProxy.start(settings);
    for (const name of ['ACCESS_TOKEN', 'ACCESS_TOKEN_FILE', 'KEY_ALLOWLIST']) {
      if (process.env[name]) throw new Error(`${name} is set: the suite reads all keys, without a token`);
    }
    const { CACHE_CAPACITY = '10000', CACHE_TTL_MS = '60000', ADMIN_TOKEN = '' } = process.env;
    const proxy = new TestProxy(RUNNING[index % RUNNING.length], undefined, {
      CACHE_CAPACITY,
      CACHE_TTL_MS,
      ADMIN_TOKEN,
    });
    await proxy.ready();
    return proxy;
  }

  /** Waits until every thread is connected to Redis; `/health/ready` reports one thread only. */
  async ready(): Promise<void> {
    await until('the proxy is ready', async () => (await this.#ofAllThreads('redis_connections')) || undefined);
  }

  /**
   * Waits until every thread is connected to Redis and its circuit is closed. An open circuit closes at the latest when its
   * thread reads something, so this reads missing keys over new connections until all threads have accepted some.
   */
  async recovered(): Promise<void> {
    await until('every thread reads Redis again', async () => {
      await Promise.all(Array.from({ length: 8 }, (_, i) => this.key(`nobody has this key ${i}`)));
      return (await this.#ofAllThreads('redis_connections', 'circuit{state="closed"}')) || undefined;
    });
  }

  /** Whether the value of each of these metrics is the number of threads. */
  async #ofAllThreads(...names: string[]): Promise<boolean> {
    const { text } = await this.ops('/metrics');
    const values = new Map(text.split('\n').map((line) => line.split(' ') as [string, string]));
    const valueOf = (name: string): number => Number(values.get(`redis_http_cache_proxy_${name}`));
    return valueOf('threads') > 0 && names.every((name) => valueOf(name) === valueOf('threads'));
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<TestResponse> {
    return sendRequest(this.url, path, { headers, tls: this.tls });
  }

  request(path: string, options: TestRequest): Promise<TestResponse> {
    return sendRequest(this.url, path, { tls: this.tls, ...options });
  }

  /** Sends a request to the listener of health, metrics and the admin API. */
  ops(path: string, options: TestRequest = {}): Promise<TestResponse> {
    return sendRequest(this.opsUrl, path, { tls: this.tls, ...options });
  }

  key(name: string | Buffer, headers: Readonly<Record<string, string>> = {}): Promise<TestResponse> {
    return this.get(`/v1/keys/${percentEncode(name)}`, headers);
  }

  /** Sends a request to the admin API, with the first of the proxy's admin tokens. */
  admin(method: string, path: string): Promise<TestResponse> {
    const [token] = String(this.settings.ADMIN_TOKEN).split(',');
    return this.ops(path, { method, headers: { authorization: `Bearer ${token}` } });
  }

  async stats(): Promise<Readonly<Record<string, number>>> {
    return (await this.admin('GET', '/v1/cache')).json as Record<string, number>;
  }

  get ttlMs(): number {
    return Number(this.settings.CACHE_TTL_MS ?? 60_000);
  }

  /** Advances the clock of a proxy that the test has started; waits if the proxy already ran. */
  async advance(ms: number): Promise<void> {
    // Stopped clocks of threads differ by microseconds.
    const all = this.#clockStopped ? ms + 1 : ms;
    if (this.child !== undefined) return void (await this.#command({ kind: 'advance', ms: all }));
    if (ms > MAX_WAIT_MS) throw new Error(`${ms} ms are too long to wait for`);
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /**
   * Stops the clock of a proxy that the test has started, until {@link startClock} or until the proxy is stopped: only
   * {@link advance} moves it on, so ages are exact however slow the machine is. Timers and threads that are restarted are not
   * affected.
   */
  async stopClock(): Promise<void> {
    if (this.child === undefined) return;
    await this.#command({ kind: 'stop' });
    this.#clockStopped = true;
  }

  /** Lets a clock that was stopped run again, from the present time on, and intervals that were paused fire. */
  async startClock(): Promise<void> {
    await this.#command({ kind: 'start' });
    this.#clockStopped = false;
  }

  /** Lets no interval of the main thread fire, as those of heartbeats, until {@link startClock}. */
  async pauseIntervals(): Promise<void> {
    await this.#command({ kind: 'pause intervals' });
  }

  /** Whether {@link advance} accepts so many milliseconds. */
  static canAdvance(ms: number): boolean {
    return RUNNING === undefined || ms <= MAX_WAIT_MS;
  }

  /** Injects a fault into the `thread`-th running thread. */
  async inject(thread: number, fault: ThreadFault): Promise<void> {
    const done = this.#command({ kind: fault, thread });
    if (fault !== 'stall in critical section') return void (await done);
    // The thread stalls when it next uses the cache: it may have no client, and new connections go to any thread.
    const trigger = setInterval(() => void this.get('/v1/keys/poke').catch(() => undefined), TRIGGER_INTERVAL_MS);
    await done.finally(() => clearInterval(trigger));
  }

  /** Checks the invariants of the shared cache while it is idle; returns the first violation. */
  async problemInMemory(): Promise<string | undefined> {
    return (await this.#command({ kind: 'check' })).problem;
  }

  /** Log lines so far, parsed. */
  log(): Record<string, unknown>[] {
    const lines = this.child?.output.split('\n').slice(0, -1) ?? [];
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async stop(): Promise<number | null> {
    // The drain depends on the clock.
    const { child } = this;
    if (this.#clockStopped && child?.running === true) {
      // It may be about to exit.
      await Promise.race([this.startClock().catch(() => undefined), child.exit]);
    }
    this.#clockStopped = false;
    return child === undefined ? 0 : child.stop();
  }

  #command(command: object): Promise<CommandReply> {
    const id = ++this.#commands;
    const { child } = this;
    if (child === undefined) throw new Error('the test has not started this proxy');
    return new Promise((resolve, reject) => {
      const onMessage = (message: CommandReply): void => {
        if (message.done !== id) return;
        child.process.off('message', onMessage);
        resolve(message);
      };
      child.process.on('message', onMessage);
      child.process.send({ ...command, id }, (error) => {
        if (error !== null) reject(error);
      });
    });
  }
}

/** Starts the process of the built proxy and does not wait for it. */
export function launch(settings: Settings, cwd = '/', preload = true, flags: readonly string[] = []): Child {
  const values = Object.entries(settings).map(([name, value]) => [name, String(value)] as const);
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: COMPILED,
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: '0',
    // Many proxies run at once. A spec of the Redis protocol sets port 0.
    RESP_PORT: '',
    // Each further thread takes a quarter of a second of CPU time to start. A spec about threads sets more.
    PROXY_THREADS: '1',
    LOG_FORMAT: 'json',
    // Programs that measure have the default.
    ...(process.env.JEST_WORKER_ID === undefined ? {} : PATIENT_TIMEOUTS),
    ...(process.env.TEST_FAST_PATH === undefined ? {} : { HTTP_FAST_PATH: process.env.TEST_FAST_PATH }),
    ...Object.fromEntries(values),
  };
  const args = [...(preload ? ['--import', PRELOAD] : []), MAIN, ...flags];
  return new Child(process.env.TEST_NODE ?? process.execPath, args, { env, cwd, ipc: preload });
}

export function percentEncode(key: string | Buffer): string {
  return [...Buffer.from(key)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

/** A key prefix that no other run uses. */
export function keyPrefix(): string {
  return `test:${process.pid}:${Date.now().toString(36)}:${Math.random().toString(36).slice(2, 8)}:`;
}

/** Deletes the keys of a run. */
export async function removeKeys(client: Redis, prefix: string): Promise<void> {
  for await (const keys of client.scanBufferStream({ match: `${prefix}*`, count: 1000 })) {
    if ((keys as Buffer[]).length > 0) await client.del(...(keys as Buffer[]));
  }
}
