import { readFileSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { once } from 'node:events';
import type { TestProxy } from './proxy.ts';

/** Milliseconds within which a hit is to be answered on a machine that is busy with the tests. */
const PATIENCE_MS = 5000;
const SAMPLE_MS = 20;
/** Not so many that the attackers have no share of a small machine, nor the tests, whose every timer and write is traced. */
const PAUSE_MS = 10;

/**
 * A client that means well, on a connection of its own: it reads one key, again and again, while others misbehave, and
 * keeps an eye on the memory of the proxy.
 */
export class WellBehavedClient {
  readonly #socket: Socket;
  readonly #proxy: TestProxy;
  readonly #request: string;
  readonly #sampling: NodeJS.Timeout;
  readonly #first: number;
  #most = 0;
  #waiting: ((status: string) => void) | undefined;
  #received = '';
  #stopped = false;
  /** Answers by their status, and what else has happened. */
  readonly seen = new Map<string, number>();
  slowestMs = 0;
  readonly done: Promise<void>;

  private constructor(proxy: TestProxy, socket: Socket, key: string, resident: number) {
    this.#proxy = proxy;
    this.#socket = socket;
    this.#first = this.#most = resident;
    this.#request = `GET /v1/keys/${key} HTTP/1.1\r\nHost: bystander\r\n\r\n`;
    socket.setEncoding('latin1').on('data', (text: string) => this.#take(text));
    socket.on('error', () => undefined).on('close', () => this.#waiting?.('closed'));
    this.#sampling = setInterval(() => this.#sample(), SAMPLE_MS);
    this.done = this.#run();
  }

  /**
   * @param key one whose value is a small one, and in the cache.
   * @param firstMiB the memory of the proxy before; by default what it has now.
   */
  static async of(proxy: TestProxy, key: string, firstMiB = residentMiB(proxy)): Promise<WellBehavedClient> {
    const socket = connect(Number(new URL(proxy.url).port), '127.0.0.1');
    await once(socket, 'connect');
    return new WellBehavedClient(proxy, socket, key, firstMiB);
  }

  /** Ends it; answers how it fared. */
  async stop(): Promise<{ readonly seen: readonly string[]; readonly slowestMs: number; readonly grownMiB: number }> {
    this.#stopped = true;
    await this.done;
    clearInterval(this.#sampling);
    this.#sample();
    this.#socket.destroy();
    return { seen: [...this.seen.keys()], slowestMs: this.slowestMs, grownMiB: this.#most - this.#first };
  }

  /** Answers so far. */
  get answers(): number {
    return this.seen.get('200') ?? 0;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const started = performance.now();
      const status = await new Promise<string>((resolve) => {
        const late = setTimeout(() => resolve('late'), PATIENCE_MS);
        this.#waiting = (what) => {
          clearTimeout(late);
          resolve(what);
        };
        this.#socket.write(this.#request);
      });
      this.seen.set(status, (this.seen.get(status) ?? 0) + 1);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - started);
      if (status !== '200') return;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #take(text: string): void {
    this.#received += text;
    const whole = /^HTTP\/1\.1 (\d+)[^]*?\r\nContent-Length: (\d+)\r\n[^]*?\r\n\r\n/.exec(this.#received);
    if (whole === null || this.#received.length < whole[0].length + Number(whole[2])) return;
    this.#received = '';
    this.#waiting?.(whole[1]);
  }

  #sample(): void {
    this.#most = Math.max(this.#most, residentMiB(this.#proxy));
  }
}

/** The memory that a proxy of the test's own has, in MiB. */
export function residentMiB({ child }: TestProxy): number {
  if (child?.running !== true) return 0;
  const status = readFileSync(`/proc/${child.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}
