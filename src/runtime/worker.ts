import 'reflect-metadata';
import { parentPort, workerData } from 'node:worker_threads';
import { type PackedSettings, unpackSettings } from '../config/settings-transfer.ts';
import type { ReadSources } from '../redis/replicas/read-sources.ts';
import { useInternals } from '../internals/internals.ts';
import { createApplication } from './application.ts';
import type { Ports } from './listeners.ts';
import { freeStartMemory } from './start-memory.ts';
import { SupervisorChannel, sendToSupervisor } from './supervisor-channel.ts';
import type { SupervisorMessage } from './worker-messages.ts';

/** The data of a worker thread in addition to its shared memory. */
export interface WorkerStart {
  readonly ports: Ports;
  /** The settings of the instance, which a restarted worker must not load again. */
  readonly settings: PackedSettings;
  /** The servers that keys are loaded from; undefined with REDIS_READ_FROM=master. */
  readonly sources: ReadSources | undefined;
}

if (parentPort === null) throw new Error('this file must be run as a worker thread of the supervisor');
const { ports, settings: packed, sources } = workerData as WorkerStart;
const settings = unpackSettings(packed);

try {
  await useInternals(settings);
  const app = await createApplication(settings, ports);
  const channel = app.get(SupervisorChannel);
  if (sources !== undefined) channel.receive({ kind: 'sources', sources });
  parentPort.on('message', (message: SupervisorMessage) => {
    if (message === 'drain') void app.close().then(() => process.exit(0));
    else channel.receive(message);
  });
  await freeStartMemory();
  await app.init();
  sendToSupervisor({ kind: 'listening' });
} catch (error) {
  sendToSupervisor({
    kind: 'failed',
    problem: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
}
