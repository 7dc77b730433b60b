import { freePort } from '../../../test/support/processes.ts';
import type { Contestant, Running } from '../contestant.ts';
import { get } from '../get.ts';
import type { Store } from '../store.ts';
import { type Server, type Workbench, installed } from '../workbench.ts';
import { debianVersion } from './debian-version.ts';

export const WEBDIS_PREFIX = '/GET/';
/** Makes webdis return the plain value instead of JSON. */
export const WEBDIS_SUFFIX = '.txt';

export async function launchWebdis(bench: Workbench, store: Store): Promise<{ server: Server; port: number }> {
  const port = await freePort();
  const settings = {
    redis_host: '127.0.0.1',
    redis_port: store.port,
    http_host: '127.0.0.1',
    http_port: port,
    threads: 1,
    daemonize: false,
    database: 0,
    verbosity: 0,
    logfile: '/dev/null',
  };
  const server = bench.launch('webdis', [bench.file(`webdis-${port}.json`, JSON.stringify(settings))]);
  // webdis responds with 503 until it is connected to Redis.
  await server.ready(async () => void (await get(port, '/PING')));
  return { server, port };
}

export const webdis: Contestant = {
  name: 'webdis',
  caches: false,
  settings: '`threads: 1`, no log, values as `.txt`, hashes as JSON; its redis-server on the same core',
  absent: () => (installed('webdis') ? undefined : 'webdis is not installed'),
  version: () => debianVersion('webdis'),
  async start(bench, store): Promise<Running> {
    const { server, port } = await launchWebdis(bench, store);
    const pids = [server.pid, store.server.pid];
    return {
      port,
      prefix: WEBDIS_PREFIX,
      suffix: WEBDIS_SUFFIX,
      hashPrefix: '/HGETALL/',
      pids,
      cachePid: server.pid,
      stop: () => server.stop(),
    };
  },
};
