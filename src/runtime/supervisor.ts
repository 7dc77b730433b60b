import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Logger } from '@nestjs/common';
import { BufferedBytes } from '../cache/read-through/buffered-bytes.ts';
import { ConnectionLimiter } from '../instance/connection-limiter.ts';
import { SELF_CHECK_PARTS } from '../instance/instance-memory.ts';
import { LoadLimiter } from '../cache/read-through/load-limiter.ts';
import { type ThreadContext, type ThreadData, createInstance, SUPERVISOR_ROW } from '../instance/thread-context.ts';
import { packSettings } from '../config/settings-transfer.ts';
import type { Settings } from '../config/settings.ts';
import type { RedisState } from '../redis/redis-reader.ts';
import { InternalsReport } from '../internals/internals-report.ts';
import type { SupervisorMessage, WorkerMessage } from './worker-messages.ts';
import { ReplacementLog } from './replacement-log.ts';
import { type WriteTracking, trackWrites } from '../tracking/track-writes.ts';
import type { Ports, WorkerStart } from './worker.ts';

/** Why an instance cannot start, for people. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

const FIRST_BACK_OFF_MS = 100;
const LONGEST_BACK_OFF_MS = 5000;
/** A thread that has lived so long did not die of its start. */
const SETTLED_MS = 10_000;
const RECOVERY_RETRY_MS = 5;
/**
 * What a thread makes for a request is garbage as soon as it is answered: more room for the young would let a thread grow
 * by a hundred megabytes before it looks.
 */
const YOUNG_GENERATION_MB = 16;

interface Thread {
  readonly row: number;
  readonly worker: Worker;
  readonly id: number;
  readonly startedAt: number;
  stopped: boolean;
}

/**
 * Starts the threads of an instance, replaces those that die, and brings them all to an end. It answers no request: the
 * threads are equals, and none of them knows of the others but through the memory they share.
 */
export class Supervisor {
  readonly #logger = new Logger('Supervisor');
  #settings: Settings;
  readonly #ports: Ports;
  readonly #memory: ThreadContext;
  readonly #loadLimiter: LoadLimiter;
  readonly #threads = new Map<number, Thread>();
  /** Deaths in a row of each thread, for the back-off. */
  readonly #deaths = new Map<number, number>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  readonly #redis = new Map<number, RedisState>();
  #tracking: WriteTracking | undefined;
  #redisReachable: boolean | undefined;
  /** Why it is not, as far as it has been told. */
  readonly #reasonsTold = new Set<string>();
  readonly #internals = new InternalsReport();
  /** The right that the Redis account lacks, as far as it has been logged. */
  #missingRight: string | undefined;
  readonly #openCircuits = new Set<number>();
  readonly #replacements = new ReplacementLog((line) => this.#logger.warn(line));
  #circuitOpen = false;
  #draining = false;
  #told = false;
  #ended: () => void = () => undefined;

  /**
   * @throws LayoutError when the cache is too large for this machine.
   */
  constructor(settings: Settings, ports: Ports) {
    this.#settings = settings;
    this.#ports = ports;
    this.#memory = createInstance(settings);
    this.#loadLimiter = new LoadLimiter(
      this.#memory.instance,
      SUPERVISOR_ROW,
      this.#memory.lockOwnerId,
      settings.proxy,
    );
  }

  /**
   * Starts the threads; all of them listen when it is done.
   *
   * @throws StartError
   */
  async start(): Promise<void> {
    this.#tracking = trackWrites(this.#settings, this.#memory);
    const rows = Array.from({ length: this.#settings.proxy.threads }, (_, row) => row);
    await Promise.all(rows.map((row) => this.#startFirst(row)));
  }

  /** Whether the instance is about to end. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Lets the threads answer what they have accepted, and end; resolves when all have. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const restart of this.#restarts) clearTimeout(restart);
    if (this.#threads.size === 0) return;
    const ended = new Promise<void>((resolve) => (this.#ended = resolve));
    this.#tellAll('stop');
    await ended;
    // Not before: what is answered until then is to be true.
    this.#tracking?.stop();
  }

  /** Has all threads, and those that come after them, go on with the tokens in these settings. */
  useTokens(settings: Settings): void {
    this.#settings = settings;
    this.#tellAll({ kind: 'tokens', settings: packSettings(settings) });
  }

  #tellAll(message: SupervisorMessage): void {
    for (const { worker } of this.#threads.values()) worker.postMessage(message);
  }

  /** Once no thread accepts connections any more, or is no more, the rest can be told to end. */
  #drainWhenStopped(): void {
    if (this.#threads.size === 0) this.#ended();
    else if (!this.#told && [...this.#threads.values()].every(({ stopped }) => stopped)) {
      this.#told = true;
      this.#tellAll('drain');
    }
  }

  #startFirst(row: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const thread = this.#spawn(row);
      thread.worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'listening') resolve();
        if (message.kind === 'failed') reject(new StartError(message.problem));
      });
      thread.worker.once('exit', () => {
        if (this.#draining) resolve();
        else reject(new StartError('a thread died while it started'));
      });
    });
  }

  #spawn(row: number): Thread {
    const { lru, instance } = this.#memory;
    const data: ThreadData & WorkerStart = {
      row,
      cache: lru.buffer,
      instance: instance.buffer,
      ports: this.#ports,
      settings: packSettings(this.#settings),
    };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: data,
      name: `proxy ${row}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const thread: Thread = { row, worker, id: worker.threadId, startedAt: performance.now(), stopped: false };
    this.#threads.set(row, thread);
    worker.on('message', (message: WorkerMessage) => this.#hear(thread, message));
    worker.on('error', (error) => this.#logger.error(`thread ${row} failed: ${describe(error)}`));
    worker.once('exit', (code) => this.#bury(thread, code));
    return thread;
  }

  #hear(thread: Thread, message: WorkerMessage): void {
    switch (message.kind) {
      case 'listening':
        break;
      case 'stopped':
        thread.stopped = true;
        this.#drainWhenStopped();
        break;
      case 'failed':
        if (this.#deaths.has(thread.row)) this.#logger.error(`thread ${thread.row} cannot start: ${message.problem}`);
        void thread.worker.terminate();
        break;
      case 'redis':
        this.#redis.set(thread.row, message.state);
        this.#reportRedis();
        break;
      case 'internals':
        this.#internals.report(message.states);
        break;
      case 'circuit':
        if (message.state === 'closed') this.#openCircuits.delete(thread.row);
        else this.#openCircuits.add(thread.row);
        this.#reportCircuit(message.reason);
        break;
      case 'replaced':
        this.#replacements.report(message.node);
        // What CLUSTER SLOTS shows, the tracking sees by itself, and sooner.
        if (message.node.by === 'redirect') this.#tracking?.replace(message.node);
        break;
    }
  }

  /**
   * The loss of Redis is told once, by the first thread that meets it, and each further reason once: that the connection
   * has ended comes first, why there is no other one after it. Its return is told when all are back.
   */
  #reportRedis(): void {
    const lost = [...this.#redis.values()].filter((state) => !state.reachable);
    for (const { reason } of lost) {
      if (this.#reasonsTold.has(reason)) continue;
      this.#logger.warn(`Redis is ${this.#reasonsTold.size === 0 ? '' : 'still '}not reachable (${reason})`);
      this.#reasonsTold.add(reason);
    }
    const reachable = lost.length === 0;
    if (reachable && this.#redisReachable !== true) this.#logger.log('Redis is reachable');
    if (reachable) this.#reasonsTold.clear();
    this.#redisReachable = reachable;
    this.#reportRights();
  }

  /** A missing right is logged once, and once that it is there. */
  #reportRights(): void {
    const missing = [...this.#redis.values()].flatMap((state) => (state.reachable ? (state.missingRight ?? []) : []));
    const [missingRight] = missing;
    if (missingRight === this.#missingRight || (missingRight === undefined && !this.#redisReachable)) return;
    if (missingRight === undefined) this.#logger.log('the Redis account has the rights that reads need');
    else this.#logger.warn(`the Redis account lacks ${missingRight} (NOPERM): every read of Redis fails`);
    this.#missingRight = missingRight;
  }

  /** Probes that fail are not told: the circuit is open until the circuits of all threads are closed. */
  #reportCircuit(reason: string): void {
    const open = this.#openCircuits.size > 0;
    if (this.#circuitOpen === open) return;
    this.#circuitOpen = open;
    if (open)
      this.#logger.warn(`the circuit to Redis is open, as it does not answer (${reason}): reads of it are refused`);
    else this.#logger.log('the circuit to Redis is closed');
  }

  #bury(thread: Thread, code: number): void {
    const { row } = thread;
    this.#threads.delete(row);
    this.#redis.delete(row);
    this.#openCircuits.delete(row);
    void this.#recoverFrom(thread).then(() => this.#restart(thread, code));
  }

  #restart({ row, startedAt }: Thread, code: number): void {
    if (this.#draining) {
      this.#drainWhenStopped();
      return;
    }
    const lived = performance.now() - startedAt;
    const deaths = lived >= SETTLED_MS ? 1 : (this.#deaths.get(row) ?? 0) + 1;
    this.#deaths.set(row, deaths);
    const delayMs = Math.min(FIRST_BACK_OFF_MS * 2 ** (deaths - 1), LONGEST_BACK_OFF_MS);
    this.#logger.error(`thread ${row} has died (exit code ${code}); it is restarted in ${delayMs} ms`);
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      this.#memory.instance.countRestart();
      this.#spawn(row);
    }, delayMs);
    this.#restarts.add(restart);
  }

  /**
   * Takes what a dead thread held out of the shared memory. It tries until it is done and never waits for a lock: only
   * this thread can free one whose holder is dead.
   */
  async #recoverFrom(thread: Thread): Promise<void> {
    const { instance } = this.#memory;
    ConnectionLimiter.recoverFrom(instance, thread.row);
    BufferedBytes.recoverFrom(instance, thread.row);
    instance.noteRedis(thread.row, false);
    // It has none any more, and those that are counted are open.
    instance.noteCircuit(thread.row, 'closed');
    for (const part of SELF_CHECK_PARTS) instance.noteSelfCheck(thread.row, part, true);
    while (!this.#recoverCache(thread)) await delay(RECOVERY_RETRY_MS);
    while (!this.#loadLimiter.recoverFrom(thread.row, thread.id)) await delay(RECOVERY_RETRY_MS);
  }

  #recoverCache({ row, id }: Thread): boolean {
    const state = this.#memory.lru.recoverFrom(id);
    if (state === 'emptied') {
      this.#logger.warn(`thread ${row} died in the middle of a change of the cache: the cache was emptied`);
    }
    return state !== 'busy';
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
