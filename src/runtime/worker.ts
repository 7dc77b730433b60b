import 'reflect-metadata';
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Access } from '../access/access.ts';
import { AdminTokens } from '../access/bearer-tokens.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { type PackedSettings, unpackSettings } from '../config/settings-transfer.ts';
import type { Settings } from '../config/settings.ts';
import { SelfCheck } from '../health/self-check.ts';
import { HttpConnections } from '../http/server/http-connections.ts';
import { INTERNAL_PARTS } from '../internals/internal-part.ts';
import { Mutex } from '../net/mutex.ts';
import { useInternals, watchInternals } from '../internals/internals.ts';
import { RedisService } from '../redis/redis.service.ts';
import { RespServer } from '../resp/server/resp-server.ts';
import { createApplication } from './application.ts';
import type { SupervisorMessage, WorkerMessage } from './worker-messages.ts';

/** The ports on which the threads listen; neither is 0. */
export interface Ports {
  readonly http: number;
  /** Undefined: the Redis protocol is off. */
  readonly resp: number | undefined;
  /** Whether several threads listen on each port. */
  readonly shared: boolean;
}

/** The data of a worker thread in addition to its shared memory. */
export interface WorkerStart {
  readonly ports: Ports;
  /** The settings of the instance, which a restarted worker must not load again. */
  readonly settings: PackedSettings;
}

if (parentPort === null) throw new Error('this file must be run as a worker thread of the supervisor');
const supervisor = parentPort;
const { ports, settings: packed } = workerData as WorkerStart;
const settings = unpackSettings(packed);
let stopping = false;

try {
  await useInternals(settings);
  const mutex = settings.proxy.mode === 'sequential' ? new Mutex() : undefined;
  const app = await createApplication(settings, mutex);
  publishInternals(app);
  publishRedisState(app);
  supervisor.on('message', (message: SupervisorMessage) => {
    if (message === 'stop') stop(app);
    else if (message === 'drain') void drain(app);
    else useTokens(app, unpackSettings(message.settings));
  });
  await app.init();
  if (!stopping) await listen(app, settings, mutex);
  send({ kind: 'listening' });
  if (!stopping) void app.get(SelfCheck).start();
} catch (error) {
  send({ kind: 'failed', problem: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

function send(message: WorkerMessage): void {
  supervisor.postMessage(message);
}

/** Listens on the ports that all threads share; the kernel distributes the connections. */
async function listen(app: NestExpressApplication, { http, proxy }: Settings, mutex: Mutex | undefined): Promise<void> {
  const { host } = http;
  const backlog = Math.ceil(proxy.backlog / proxy.threads);
  const server = app.getHttpServer();
  const { shared: reusePort } = ports;
  server.listen({ port: ports.http, host, backlog, reusePort });
  await once(server, 'listening');
  if (ports.resp !== undefined) await app.get(RespServer).listen({ port: ports.resp, host, backlog, reusePort, mutex });
}

function publishInternals(app: NestExpressApplication): void {
  const { instance, threadIndex: row } = app.get(ThreadContext);
  watchInternals((states) => {
    instance.noteInternals(
      row,
      INTERNAL_PARTS.filter((name) => states[name].inUse),
    );
    send({ kind: 'internals', states });
  });
}

function publishRedisState(app: NestExpressApplication): void {
  const { instance, threadIndex: row } = app.get(ThreadContext);
  const redis = app.get(RedisService);
  redis.watch((state) => {
    instance.noteRedis(row, state.reachable);
    send({ kind: 'redis', state });
    // Reports a missing permission before a client's request fails.
    if (state.reachable) void redis.check();
  });
  redis.watchCircuit((state, reason) => {
    instance.noteCircuit(row, state);
    send({ kind: 'circuit', state, reason });
  });
  redis.watchReplaced((node) => send({ kind: 'replaced', node }));
}

function useTokens(app: NestExpressApplication, { access, admin }: Settings): void {
  app.get(Access).replaceTokens(access.tokens);
  app.get(AdminTokens).replace(admin.tokens);
  app.get(RespServer).closeRevoked();
}

function stop(app: NestExpressApplication): void {
  stopping = true;
  app.get(HttpConnections).stopListening();
  app.get(RespServer).stopListening();
  send({ kind: 'stopped' });
}

async function drain(app: NestExpressApplication): Promise<void> {
  await Promise.all([app.get(HttpConnections).drain(), app.get(RespServer).drain()]);
  await app.close();
  process.exit(0);
}
