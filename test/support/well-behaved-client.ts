import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { TestProxy } from './proxy.ts';

const THREAD = new URL('./well-behaved-client.worker.ts', import.meta.url).pathname;

/** Parameters of the client's thread. */
export interface ClientTask {
  readonly port: number;
  readonly key: string;
  /** Process id of the proxy. */
  readonly pid: number;
}

/** State of the client, posted after each response. */
export interface ClientReport {
  /** Responses with status 200. */
  readonly responses: number;
  /** Each status seen, "late" and "closed". */
  readonly statuses: readonly string[];
  readonly slowestMs: number;
  /** Largest resident memory of the proxy seen. */
  readonly maxMiB: number;
}

/**
 * Reads one key again and again over a connection of its own, and samples the memory of the proxy, while other clients
 * misbehave. Runs in a thread, so that its deadlines do not include the time in which Jest's thread is busy.
 */
export class WellBehavedClient {
  readonly #worker: Worker;
  readonly #firstMiB: number;
  #report: ClientReport = { responses: 0, statuses: [], slowestMs: 0, maxMiB: 0 };

  private constructor(worker: Worker, firstMiB: number) {
    this.#worker = worker;
    this.#firstMiB = firstMiB;
    worker.on('message', (report: ClientReport) => (this.#report = report));
  }

  /**
   * Starts the client and waits for its first response.
   *
   * @param key cached, with a small value.
   * @param firstMiB memory of the proxy that growth is measured from; default: the current one.
   */
  static async start(proxy: TestProxy, key: string, firstMiB = residentMiB(proxy)): Promise<WellBehavedClient> {
    const task: ClientTask = { port: Number(new URL(proxy.url).port), key, pid: proxy.child?.process.pid ?? 0 };
    const worker = new Worker(THREAD, { workerData: task });
    const client = new WellBehavedClient(worker, firstMiB);
    await once(worker, 'message');
    return client;
  }

  /** Responses with status 200 so far. */
  get responses(): number {
    return this.#report.responses;
  }

  /** Whether anything but 200 was received in time. */
  get failed(): boolean {
    return this.#report.statuses.some((status) => status !== '200');
  }

  /** Ends the client after its current request. May be called more than once. */
  async stop(): Promise<{
    readonly statuses: readonly string[];
    readonly slowestMs: number;
    readonly grownMiB: number;
  }> {
    if (this.#worker.threadId !== -1) {
      this.#worker.postMessage('stop');
      await once(this.#worker, 'exit');
    }
    const { statuses, slowestMs, maxMiB } = this.#report;
    return { statuses, slowestMs, grownMiB: Math.max(0, maxMiB - this.#firstMiB) };
  }
}

/** Resident memory in MiB of a proxy that the test has started. */
export function residentMiB({ child }: TestProxy): number {
  if (child?.running !== true) return 0;
  const status = readFileSync(`/proc/${child.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
}
