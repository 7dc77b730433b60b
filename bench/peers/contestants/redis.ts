import type { Contestant, Running } from '../contestant.ts';
import { installed } from '../workbench.ts';
import { debianVersion } from './debian-version.ts';

/** The alternative to a proxy: the Redis behind the other contestants. */
export const redisServer: Contestant = {
  name: 'redis-server',
  caches: false,
  settings: 'no persistence, one thread',
  absent: () => (installed('redis-server') ? undefined : 'redis-server is not installed'),
  version: () => debianVersion('redis-server'),
  start(_bench, store): Promise<Running> {
    const pids = [store.server.pid];
    return Promise.resolve({
      port: store.port,
      prefix: '',
      suffix: '',
      pids,
      cachePid: store.server.pid,
      stop: () => Promise.resolve(),
    });
  },
};
