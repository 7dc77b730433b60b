import type { Settings } from '../config/settings.ts';
import type { InternalPartName, InternalPartState } from './internal-part.ts';
import { directWrite, probeDirectWrite } from '../net/node-internals/direct-write.ts';
import { probeSharedRead, sharedRead } from '../net/node-internals/shared-read.ts';
import { probeRedisBatches } from '../redis/ioredis-internals/probe.ts';
import { redisBatches } from '../redis/ioredis-internals/redis-batches.ts';

type States = Readonly<Record<InternalPartName, InternalPartState>>;

const PARTS = [directWrite, sharedRead, redisBatches];

/** Probes the private parts of Node.js and ioredis and enables those that pass, unless NODE_INTERNALS is off. */
export async function useInternals({
  nodeInternals,
  http,
  resp,
}: Pick<Settings, 'nodeInternals' | 'http' | 'resp'>): Promise<void> {
  const tls = http.tls ?? resp.tls;
  if (nodeInternals === 'auto') await Promise.all([probeDirectWrite(tls), probeSharedRead(tls), probeRedisBatches()]);
  else for (const part of PARTS) part.disable('NODE_INTERNALS=off');
}

/** Calls `watch` with the states of all parts in this thread, now and on each change. */
export function watchInternals(watch: (states: States) => void): void {
  const notify = (): void =>
    watch({
      'socket-write': directWrite.state,
      'socket-read': sharedRead.state,
      'redis-batches': redisBatches.state,
    });
  for (const part of PARTS) part.onChange(notify);
  notify();
}
