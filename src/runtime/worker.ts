import 'reflect-metadata';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { InstanceMemory, RowWord } from '../cache/instance-memory.ts';
import { ThreadContext } from '../cache/thread-context.ts';
import { type PackedSettings, unpackSettings } from '../config/settings-transfer.ts';
import type { Settings } from '../config/settings.ts';
import { HttpConnections } from '../http/http-connections.ts';
import { RedisService } from '../redis/redis.service.ts';
import { createApplication } from './application.ts';
import type { SupervisorMessage, WorkerMessage } from './messages.ts';

/** What a worker thread needs to know beside the memory it maps. */
export interface WorkerStart {
  readonly port: number;
  /** Those of the instance: a thread that replaces another must not read them anew. */
  readonly settings: PackedSettings;
}

if (parentPort === null) throw new Error('this file is run by the supervisor');
const supervisor = parentPort;
const { port, settings: packed } = workerData as WorkerStart;
const settings = unpackSettings(packed);
let stopping = false;

try {
  const app = await createApplication(settings);
  publishRedisState(app);
  supervisor.on('message', (message: SupervisorMessage) => {
    if (message === 'stop') stop(app);
    else void drain(app);
  });
  await app.init();
  if (!stopping) await listen(app.getHttpServer(), settings);
  tell({ kind: 'listening' });
} catch (error) {
  tell({ kind: 'failed', problem: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

function tell(message: WorkerMessage): void {
  supervisor.postMessage(message);
}

/** All threads listen on one port; the kernel spreads the connections. */
async function listen(server: Server, { http, proxy }: Settings): Promise<void> {
  server.listen({ port, host: http.host, backlog: Math.ceil(proxy.backlog / proxy.threads), reusePort: true });
  await once(server, 'listening');
}

function publishRedisState(app: NestExpressApplication): void {
  const { instance, row } = app.get(ThreadContext);
  app.get(RedisService).watch((state) => {
    Atomics.store(instance.words, InstanceMemory.word(row, RowWord.REDIS_READY), state.reachable ? 1 : 0);
    tell({ kind: 'redis', state });
  });
}

function stop(app: NestExpressApplication): void {
  stopping = true;
  app.get(HttpConnections).stopListening();
  tell({ kind: 'stopped' });
}

async function drain(app: NestExpressApplication): Promise<void> {
  await app.get(HttpConnections).drain();
  await app.close();
  process.exit(0);
}
