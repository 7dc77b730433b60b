import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Logger } from '@nestjs/common';
import { BufferedBytes } from '../cache/read-through/buffered-bytes.ts';
import { ConnectionLimiter } from '../instance/connection-limiter.ts';
import { SELF_CHECK_PARTS } from '../instance/instance-memory.ts';
import { ReadSourceCounts } from '../instance/counts/read-source-counts.ts';
import { LoadLimiter } from '../cache/read-through/load-limiter.ts';
import { type ThreadContext, type ThreadData, createInstance, SUPERVISOR_ROW } from '../instance/thread-context.ts';
import { packSettings } from '../config/settings-transfer.ts';
import type { Settings } from '../config/settings.ts';
import { type LoginOutcome, RedisLogins } from '../redis/redis-logins.ts';
import { InternalsReport } from '../internals/internals-report.ts';
import type { SupervisorMessage, WorkerMessage } from './worker-messages.ts';
import { RedisLog } from './redis-log.ts';
import { WarmupState } from '../instance/warmup-state.ts';
import type { InvalidationRelay } from '../tracking/invalidation-relay.ts';
import type { FollowerParts, ServerFollower } from '../tracking/server-follower.ts';
import type { SourceSelection } from '../redis/replicas/source-selection.ts';
import type { KeySaver } from '../warmup/save-keys.ts';
import type { Ports } from './listeners.ts';
import type { WorkerStart } from './worker.ts';

/** The instance cannot start; the message describes why. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

const FIRST_BACK_OFF_MS = 100;
const MAX_BACK_OFF_MS = 5000;
/** Milliseconds after which an exit no longer counts as a consecutive crash. */
const SETTLED_MS = 10_000;
const RECOVERY_RETRY_MS = 5;
/** Milliseconds between two keys of session tickets: far longer than a session can be resumed, five minutes. */
const TICKET_KEYS_MS = 3_600_000;
/**
 * The objects of a request are garbage when its response is sent. A larger young generation would let a thread grow by a
 * hundred megabytes before it is collected; a smaller one promotes values of requests for many keys that are in flight.
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
 * Starts the worker threads of an instance, restarts the ones that exit, and shuts them down. It serves no requests: the
 * workers are equal and communicate through shared memory; invalidations for their clients are the only other messages.
 */
export class Supervisor {
  readonly #logger = new Logger('Supervisor');
  #settings: Settings;
  readonly #ports: Ports;
  readonly #memory: ThreadContext;
  readonly #loadLimiter: LoadLimiter;
  readonly #threads = new Map<number, Thread>();
  /** Consecutive crashes per worker, for the restart back-off. */
  readonly #consecutiveCrashes = new Map<number, number>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  #sources: SourceSelection | undefined;
  /** The credentials of the connections of this thread. */
  readonly #logins: RedisLogins;
  readonly #onLoginRefused: () => void;
  /** They apply invalidations and purges to the cache. */
  readonly #followers: ServerFollower[] = [];
  readonly #warmup: WarmupState;
  /** Writes CACHE_WARMUP_FILE; undefined if there is none. */
  #keySaver: KeySaver | undefined;
  #relay: InvalidationRelay | undefined;
  readonly #internals = new InternalsReport();
  readonly #redisLog = new RedisLog(this.#logger);
  #draining = false;
  #drainSent = false;
  #ended: () => void = () => undefined;

  /**
   * @param onLoginRefused called when Redis or a sentinel has rejected the credentials.
   * @throws LayoutError when the cache is too large for this machine.
   */
  constructor(settings: Settings, ports: Ports, onLoginRefused: () => void = () => undefined) {
    this.#settings = settings;
    this.#logins = new RedisLogins(settings.redis);
    this.#logins.watch((outcome) => this.#noteLogin(outcome));
    this.#onLoginRefused = onLoginRefused;
    this.#ports = ports;
    this.#memory = createInstance(settings);
    this.#warmup = new WarmupState(this.#memory.instance);
    this.#loadLimiter = new LoadLimiter(
      this.#memory.instance,
      SUPERVISOR_ROW,
      this.#memory.lockOwnerId,
      settings.proxy,
    );
  }

  /**
   * Starts the threads; resolves when all of them listen.
   *
   * @throws StartError
   */
  async start(): Promise<void> {
    if (this.#settings.redis.readFrom !== 'master') await this.#selectSources();
    await this.#prepareWarmup();
    await this.#followServers();
    const { http, resp } = this.#settings;
    if (http.tls !== undefined || resp.tls !== undefined) {
      setInterval(() => this.#sendSettings(), TICKET_KEYS_MS).unref();
    }
    const rows = Array.from({ length: this.#settings.proxy.threads }, (_, row) => row);
    await Promise.all(rows.map((row) => this.#startFirst(row)));
  }

  /** Starts to receive invalidations and purges; loads a Redis client only for these, as the main thread has no other use for it. */
  async #followServers(): Promise<void> {
    const { coherence, purgeChannel } = this.#settings.cache;
    const partsFor = (context: string): FollowerParts => ({
      settings: this.#settings,
      memory: this.#memory,
      logger: new Logger(context),
      logins: this.#logins,
      servers: this.#sources?.servers(),
    });
    if (coherence === 'tracking') {
      const [{ trackWrites }, { InvalidationRelay }] = await Promise.all([
        import('../tracking/tracking-coordinator.ts'),
        import('../tracking/invalidation-relay.ts'),
      ]);
      this.#relay = new InvalidationRelay(this.#memory.instance);
      this.#followers.push(trackWrites(partsFor('Coherence'), this.#relay));
    }
    if (purgeChannel !== undefined) {
      const { watchPurgeChannel } = await import('../tracking/purge-channel.ts');
      this.#followers.push(watchPurgeChannel(partsFor('Purges'), purgeChannel));
    }
  }

  /** Selects the servers that keys are loaded from, before a worker thread connects to one. */
  async #selectSources(): Promise<void> {
    const { SourceSelection } = await import('../redis/replicas/source-selection.ts');
    const counts = new ReadSourceCounts(this.#memory.instance);
    this.#sources = new SourceSelection(this.#settings.redis, this.#logins, new Logger('Replicas'), {
      onSources: (sources) => {
        counts.record(sources);
        this.#broadcast({ kind: 'sources', sources });
      },
      onLag: (lagS) => counts.recordLag(lagS),
    });
    await this.#sources.start();
  }

  /** Whether the instance is shutting down. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Stops accepting connections, lets the threads complete their requests and exit; resolves when all have exited. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const restart of this.#restarts) clearTimeout(restart);
    if (this.#threads.size === 0) return;
    const ended = new Promise<void>((resolve) => (this.#ended = resolve));
    this.#broadcast('stop');
    await ended;
    // Responses must stay coherent until the last one is sent.
    for (const follower of this.#followers) follower.stop();
    this.#sources?.close();
  }

  /** Writes the keys in the cache to CACHE_WARMUP_FILE, if there is one. Failures are logged. */
  async saveKeys(): Promise<void> {
    await this.#keySaver?.save();
  }

  async #prepareWarmup(): Promise<void> {
    const { warmupFile, warmupWaitMs } = this.#settings.cache;
    if (warmupFile === undefined) return;
    this.#warmup.announce(warmupWaitMs);
    // Now, because at shutdown the files of the program may be those of another version.
    const { KeySaver } = await import('../warmup/save-keys.ts');
    this.#keySaver = new KeySaver(this.#memory.lru, warmupFile, this.#warmup);
    await this.#keySaver.warnIfUnwritable();
  }

  /** Sends settings, of which the content of files has changed, to all threads; restarted threads use them as well. */
  useSettings(settings: Settings): void {
    this.#settings = settings;
    this.#redisLog.noteChangedCredentials();
    this.#logins.use(settings.redis);
    this.#sendSettings();
  }

  /**
   * Sends the settings to all threads, which read new keys of session tickets with them. That ends the resumption of earlier TLS
   * sessions: one whose client certificate is no longer accepted must not be resumed, and keys that are used for long would decrypt
   * much recorded traffic.
   */
  #sendSettings(): void {
    this.#memory.instance.renewTicketKeys();
    this.#broadcast({ kind: 'settings', settings: packSettings(this.#settings) });
  }

  #broadcast(message: SupervisorMessage): void {
    for (const { worker } of this.#threads.values()) worker.postMessage(message);
  }

  /** Sends `drain` once every thread has stopped accepting connections or has exited. */
  #drainWhenStopped(): void {
    if (this.#threads.size === 0) this.#ended();
    else if (!this.#drainSent && [...this.#threads.values()].every(({ stopped }) => stopped)) {
      this.#drainSent = true;
      this.#broadcast('drain');
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
        else reject(new StartError('a worker exited during start'));
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
      sources: this.#sources?.sources,
    };
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: data,
      name: `proxy ${row}`,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    const thread: Thread = { row, worker, id: worker.threadId, startedAt: performance.now(), stopped: false };
    this.#threads.set(row, thread);
    this.#relay?.add(row, (keys) => worker.postMessage({ kind: 'invalidation', keys } satisfies SupervisorMessage));
    worker.on('message', (message: WorkerMessage) => this.#onMessage(thread, message));
    worker.on('error', (error) => this.#logger.error(`worker ${row} failed: ${describe(error)}`));
    worker.once('exit', (code) => this.#onExit(thread, code));
    return thread;
  }

  #onMessage(thread: Thread, message: WorkerMessage): void {
    switch (message.kind) {
      case 'listening':
        break;
      case 'stopped':
        thread.stopped = true;
        this.#drainWhenStopped();
        break;
      case 'failed':
        if (this.#consecutiveCrashes.has(thread.row))
          this.#logger.error(`worker ${thread.row} failed to start: ${message.problem}`);
        void thread.worker.terminate();
        break;
      case 'redis':
        this.#redisLog.noteState(thread.row, message.state);
        break;
      case 'internals':
        this.#internals.report(message.states);
        break;
      case 'circuit':
        this.#redisLog.noteCircuit(thread.row, message.state, message.reason);
        break;
      case 'login':
        this.#noteLogin(message.outcome);
        break;
      case 'refused':
        this.#redisLog.noteRefused(message.permission);
        break;
      case 'replaced':
        this.#redisLog.noteReplaced(message.node);
        // Tracking detects replacements in CLUSTER SLOTS by itself, and sooner.
        if (message.node.cause === 'redirect') {
          for (const follower of this.#followers) follower.replace(message.node);
        }
        break;
    }
  }

  /** Counts rejected credentials, reads the files that they are from once more, and logs the outcome. */
  #noteLogin(outcome: LoginOutcome): void {
    if (outcome.kind === 'refused') {
      this.#memory.instance.countLoginFailure();
      this.#onLoginRefused();
    }
    this.#redisLog.noteLogin(outcome);
  }

  #onExit(thread: Thread, code: number): void {
    const { row } = thread;
    this.#threads.delete(row);
    this.#redisLog.forget(row);
    this.#relay?.remove(row);
    void this.#recoverFrom(thread).then(() => this.#restart(thread, code));
  }

  #restart({ row, startedAt }: Thread, code: number): void {
    if (this.#draining) {
      this.#drainWhenStopped();
      return;
    }
    const lifetimeMs = performance.now() - startedAt;
    const crashes = lifetimeMs >= SETTLED_MS ? 1 : (this.#consecutiveCrashes.get(row) ?? 0) + 1;
    this.#consecutiveCrashes.set(row, crashes);
    const delayMs = Math.min(FIRST_BACK_OFF_MS * 2 ** (crashes - 1), MAX_BACK_OFF_MS);
    this.#logger.error(`worker ${row} exited (code ${code}); restarting in ${delayMs} ms`);
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      this.#memory.instance.countRestart();
      this.#spawn(row);
    }, delayMs);
    this.#restarts.add(restart);
  }

  /**
   * Releases what a dead thread held in shared memory. It retries until done and never blocks on a lock: only this thread
   * can release a lock whose owner has died.
   */
  async #recoverFrom(thread: Thread): Promise<void> {
    const { instance } = this.#memory;
    ConnectionLimiter.recoverFrom(instance, thread.row);
    BufferedBytes.recoverFrom(instance, thread.row);
    instance.noteRedis(thread.row, false);
    // A dead thread must not count as one with an open circuit.
    instance.noteCircuit(thread.row, 'closed');
    if (this.#warmup.recoverFrom(thread.row)) this.#logger.warn('warm-up stopped: its thread has exited');
    for (const part of SELF_CHECK_PARTS) instance.noteSelfCheck(thread.row, part, true);
    while (!this.#recoverCache(thread)) await delay(RECOVERY_RETRY_MS);
    while (!this.#loadLimiter.recoverFrom(thread.row, thread.id)) await delay(RECOVERY_RETRY_MS);
  }

  #recoverCache({ row, id }: Thread): boolean {
    const state = this.#memory.lru.recoverFrom(id);
    if (state === 'emptied') {
      this.#logger.warn(`worker ${row} died holding the cache lock; cache flushed`);
    }
    return state !== 'busy';
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
