import { parentPort } from 'node:worker_threads';
import { Injectable } from '@nestjs/common';
import { Access } from '../access/access.ts';
import { AdminTokens } from '../access/bearer-tokens.ts';
import { unpackSettings } from '../config/settings-transfer.ts';
import { ReadSourceCounts } from '../instance/counts/read-source-counts.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { INTERNAL_PARTS } from '../internals/internal-part.ts';
import { watchInternals } from '../internals/internals.ts';
import { RedisLogins } from '../redis/redis-logins.ts';
import { RedisReader } from '../redis/redis-reader.ts';
import { RespServer } from '../resp/server/resp-server.ts';
import { TrackingClients } from '../resp/server/tracking-clients.ts';
import { TlsListeners } from '../tls/tls-listeners.ts';
import { Listeners } from './listeners.ts';
import type { SupervisorMessage, WorkerMessage } from './worker-messages.ts';

/** Sends a message from this worker thread to the supervisor. */
export function sendToSupervisor(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

/**
 * Reports the states of this thread to the supervisor and in the memory of the instance, and carries out the supervisor's
 * messages. It subscribes when it is constructed: before the first connection to Redis.
 */
@Injectable()
export class SupervisorChannel {
  readonly #listeners: Listeners;
  readonly #access: Access;
  readonly #adminTokens: AdminTokens;
  readonly #resp: RespServer;
  readonly #trackingClients: TrackingClients;
  readonly #tls: TlsListeners;
  readonly #redis: RedisReader;
  readonly #logins: RedisLogins;

  constructor(
    listeners: Listeners,
    access: Access,
    adminTokens: AdminTokens,
    resp: RespServer,
    trackingClients: TrackingClients,
    tls: TlsListeners,
    thread: ThreadContext,
    redis: RedisReader,
    logins: RedisLogins,
  ) {
    this.#listeners = listeners;
    this.#access = access;
    this.#adminTokens = adminTokens;
    this.#resp = resp;
    this.#trackingClients = trackingClients;
    this.#tls = tls;
    this.#redis = redis;
    this.#logins = logins;
    publishInternals(thread);
    publishRedisState(thread, redis);
    logins.watch((outcome) => sendToSupervisor({ kind: 'login', outcome }));
  }

  receive(message: Exclude<SupervisorMessage, 'drain'>): void {
    if (message === 'stop') {
      this.#listeners.stop();
      sendToSupervisor({ kind: 'stopped' });
    } else if (message.kind === 'invalidation') {
      this.#trackingClients.invalidate(message.keys);
    } else if (message.kind === 'sources') {
      this.#redis.useSources(message.sources);
    } else {
      const settings = unpackSettings(message.settings);
      this.#access.replaceTokens(settings.access.tokens);
      this.#adminTokens.replace(settings.admin.tokens);
      this.#logins.use(settings.redis);
      this.#resp.closeRevoked();
      this.#tls.use(settings);
    }
  }
}

function publishInternals({ instance, threadIndex: row }: ThreadContext): void {
  watchInternals((states) => {
    instance.noteInternals(
      row,
      INTERNAL_PARTS.filter((name) => states[name].inUse),
    );
    sendToSupervisor({ kind: 'internals', states });
  });
}

function publishRedisState({ instance, threadIndex: row }: ThreadContext, redis: RedisReader): void {
  redis.watch((state) => {
    instance.noteRedis(row, state.reachable);
    sendToSupervisor({ kind: 'redis', state });
    // Reports a missing permission before a client's request fails.
    if (state.reachable) void redis.check();
  });
  redis.watchCircuit((state, reason) => {
    instance.noteCircuit(row, state);
    sendToSupervisor({ kind: 'circuit', state, reason });
  });
  redis.watchRefused((permission) => sendToSupervisor({ kind: 'refused', permission }));
  redis.watchReplaced((node) => sendToSupervisor({ kind: 'replaced', node }));
  const counts = new ReadSourceCounts(instance, row);
  redis.watchServed((role) => counts.countLoad(role));
}
