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
import type { RedisState } from '../redis/redis-reader.ts';
import { InternalsReport } from '../internals/internals-report.ts';
import type { SupervisorMessage, WorkerMessage } from './worker-messages.ts';
import { ReplacementLog } from './replacement-log.ts';
import { WarmupState } from '../instance/warmup-state.ts';
import type { InvalidationRelay } from '../tracking/invalidation-relay.ts';
import type { PurgeChannel } from '../tracking/purge-channel.ts';
import type { SourceSelection } from '../redis/replicas/source-selection.ts';
import type { saveKeys } from '../warmup/save-keys.ts';
import type { WriteTracking } from '../tracking/tracking-coordinator.ts';
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
  readonly #redis = new Map<number, RedisState>();
  #sources: SourceSelection | undefined;
  /** The credentials of the connections of this thread. */
  readonly #logins: RedisLogins;
  readonly #onLoginRefused: () => void;
  /** The outcomes that have been logged for changed credentials. */
  readonly #loggedLogins = new Set<LoginOutcome['kind']>();
  #tracking: WriteTracking | undefined;
  #purgeChannel: PurgeChannel | undefined;
  readonly #warmup: WarmupState;
  /** Writes CACHE_WARMUP_FILE; undefined if there is none. */
  #saveKeys: typeof saveKeys | undefined;
  #relay: InvalidationRelay | undefined;
  #redisReachable: boolean | undefined;
  /** The reasons for the loss of Redis that have been logged. */
  readonly #loggedReasons = new Set<string>();
  readonly #internals = new InternalsReport();
  /** The missing permission of the Redis account that has been logged. */
  #missingPermission: string | undefined;
  /** Permissions that were logged because a query other than GET lacked them. */
  readonly #refusedPermissions = new Set<string>();
  readonly #openCircuits = new Set<number>();
  readonly #replacements = new ReplacementLog((line) => this.#logger.warn(line));
  #circuitOpen = false;
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
    this.#logins.watch((outcome) => this.#reportLogin(outcome));
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
    if (this.#settings.cache.coherence === 'tracking') {
      // The main thread has no other use for a Redis client.
      const [{ trackWrites }, { InvalidationRelay }] = await Promise.all([
        import('../tracking/tracking-coordinator.ts'),
        import('../tracking/invalidation-relay.ts'),
      ]);
      this.#relay = new InvalidationRelay(this.#memory.instance);
      this.#tracking = trackWrites(
        this.#settings,
        this.#memory,
        new Logger('Coherence'),
        this.#relay,
        this.#logins,
        this.#sources?.servers(),
      );
    }
    const { purgeChannel } = this.#settings.cache;
    if (purgeChannel !== undefined) {
      const { watchPurgeChannel } = await import('../tracking/purge-channel.ts');
      this.#purgeChannel = watchPurgeChannel(
        purgeChannel,
        this.#settings,
        this.#memory,
        new Logger('Purges'),
        this.#logins,
        this.#sources?.servers(),
      );
    }
    const { http, resp } = this.#settings;
    if (http.tls !== undefined || resp.tls !== undefined) {
      setInterval(() => this.#sendSettings(), TICKET_KEYS_MS).unref();
    }
    const rows = Array.from({ length: this.#settings.proxy.threads }, (_, row) => row);
    await Promise.all(rows.map((row) => this.#startFirst(row)));
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
    this.#tracking?.stop();
    this.#purgeChannel?.stop();
    this.#sources?.close();
  }

  /** Writes the keys in the cache to CACHE_WARMUP_FILE, if there is one. Failures are logged. */
  async saveKeys(): Promise<void> {
    const { warmupFile: path } = this.#settings.cache;
    if (path === undefined || this.#saveKeys === undefined) return;
    const logger = new Logger('Warmup');
    if (this.#warmup.isIncomplete) {
      const isRead = this.#warmup.total > 0;
      if (isRead) logger.log(`${path} is kept, because not all of its keys have been loaded`);
      return;
    }
    try {
      const { entries, bytes, isCut } = await this.#saveKeys(this.#memory.lru, path);
      const rest = isCut ? '; the least recently used are left out' : '';
      logger.log(`${path} written (entries: ${entries}, bytes: ${bytes})${rest}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      logger.warn(`CACHE_WARMUP_FILE ${path} could not be written (${code ?? message})`);
    }
  }

  async #prepareWarmup(): Promise<void> {
    const { warmupFile: path, warmupWaitMs } = this.#settings.cache;
    if (path === undefined) return;
    this.#warmup.announce(warmupWaitMs);
    // Now, because at shutdown the files of the program may be those of another version.
    const [{ saveKeys }, { unwritableReason }] = await Promise.all([
      import('../warmup/save-keys.ts'),
      import('../warmup/warmup-file.ts'),
    ]);
    this.#saveKeys = saveKeys;
    const reason = await unwritableReason(path);
    if (reason === undefined) return;
    new Logger('Warmup').warn(
      `CACHE_WARMUP_FILE ${path} cannot be written (${reason}): the next start will not be warm`,
    );
  }

  /** Sends settings, of which the content of files has changed, to all threads; restarted threads use them as well. */
  useSettings(settings: Settings): void {
    this.#settings = settings;
    this.#loggedLogins.clear();
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
      case 'login':
        this.#reportLogin(message.outcome);
        break;
      case 'refused':
        this.#reportRefused(message.permission);
        break;
      case 'replaced':
        this.#replacements.report(message.node);
        // Tracking detects replacements in CLUSTER SLOTS by itself, and sooner.
        if (message.node.cause === 'redirect') {
          this.#tracking?.replace(message.node);
          this.#purgeChannel?.replace(message.node);
        }
        break;
    }
  }

  /**
   * Logs the loss of Redis once, when the first thread reports it, and each further reason once: the end of the connection
   * comes first, the reason why reconnecting fails later. Logs its return when all threads are connected.
   */
  #reportRedis(): void {
    const lost = [...this.#redis.values()].filter((state) => !state.reachable);
    for (const { reason } of lost) {
      if (this.#loggedReasons.has(reason)) continue;
      this.#logger.warn(`Redis is ${this.#loggedReasons.size === 0 ? '' : 'still '}not reachable (${reason})`);
      this.#loggedReasons.add(reason);
    }
    const reachable = lost.length === 0;
    if (reachable && this.#redisReachable !== true) this.#logger.log('Redis is reachable');
    if (reachable) this.#loggedReasons.clear();
    this.#redisReachable = reachable;
    this.#reportPermission();
  }

  /** Counts rejected credentials; logs once after each change whether connections use the new ones or keep the previous ones. */
  #reportLogin(outcome: LoginOutcome): void {
    const { kind } = outcome;
    if (kind === 'refused') {
      this.#memory.instance.countLoginFailure();
      this.#onLoginRefused();
      if (!outcome.isConnected) return;
    }
    if (this.#loggedLogins.has(kind)) return;
    this.#loggedLogins.add(kind);
    if (kind === 'accepted') return this.#logger.log('Redis accepts the changed credentials');
    const { reason } = outcome;
    this.#logger.warn(`Redis rejects the changed credentials (${reason}); connections keep the previous ones`);
  }

  /** Logs a missing permission once, and once that it has been granted. */
  #reportPermission(): void {
    const [missing] = [...this.#redis.values()].flatMap((state) =>
      state.reachable ? (state.missingPermission ?? []) : [],
    );
    if (missing === this.#missingPermission || (missing === undefined && !this.#redisReachable)) return;
    if (missing === undefined) this.#logger.log('the Redis account has the required permissions');
    else this.#logger.warn(`the Redis account lacks ${missing} (NOPERM): every read of Redis fails`);
    this.#missingPermission = missing;
  }

  /** Logs once that the account lacks a permission that not every read needs. */
  #reportRefused(permission: string): void {
    if (this.#refusedPermissions.has(permission)) return;
    this.#refusedPermissions.add(permission);
    this.#logger.warn(`the Redis account lacks ${permission} (NOPERM): reads that need it fail`);
  }

  /** Logs the circuit as open from the first open one until the circuits of all threads are closed; omits failed probes. */
  #reportCircuit(reason: string): void {
    const open = this.#openCircuits.size > 0;
    if (this.#circuitOpen === open) return;
    this.#circuitOpen = open;
    if (open) this.#logger.warn(`Redis circuit breaker opened (${reason}); failing fast`);
    else this.#logger.log('Redis circuit breaker closed');
  }

  #onExit(thread: Thread, code: number): void {
    const { row } = thread;
    this.#threads.delete(row);
    this.#redis.delete(row);
    this.#openCircuits.delete(row);
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
