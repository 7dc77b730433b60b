import { existsSync } from 'node:fs';
import { freePort } from '../../../test/support/processes.ts';
import type { Contestant, Needs, Running } from '../contestant.ts';
import type { Store } from '../store.ts';
import type { Server, Workbench } from '../workbench.ts';

const MAIN = new URL('../../../dist/main.js', import.meta.url).pathname;
const NAME = 'this proxy';
/** Places the cache's buffer in huge pages, as the container image does. */
const HUGE_PAGES = 'glibc.malloc.hugetlb=1';

interface Started {
  readonly server: Server;
  readonly httpPort: number;
  readonly respPort: number;
}

function absent(): string | undefined {
  return existsSync(MAIN) ? undefined : 'it is not built: npm run build';
}

function version(): string {
  return `as built, Node.js ${process.versions.node}`;
}

async function launch(bench: Workbench, store: Store, { capacity }: Needs): Promise<Started> {
  const [httpPort, respPort] = [await freePort(), await freePort()];
  const server = bench.launch(process.execPath, [MAIN], {
    NODE_ENV: 'production',
    GLIBC_TUNABLES: HUGE_PAGES,
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: String(httpPort),
    RESP_PORT: String(respPort),
    REDIS_URL: `redis://127.0.0.1:${store.port}/0`,
    // The other contestants do not time out reads of Redis either.
    REDIS_COMMAND_TIMEOUT_MS: '10000',
    PROXY_THREADS: '1',
    CACHE_CAPACITY: String(capacity),
    CACHE_TTL_MS: '3600000',
    LOG_LEVEL: 'warn',
    LOG_FORMAT: 'json',
  });
  await server.ready(async () => {
    const { status } = await fetch(`http://127.0.0.1:${httpPort}/health/ready`, { headers: { connection: 'close' } });
    if (status !== 200) throw new Error(`not ready: ${status}`);
  });
  return { server, httpPort, respPort };
}

const SETTINGS =
  '`PROXY_THREADS=1`, `CACHE_TTL_MS=3600000`, `REDIS_COMMAND_TIMEOUT_MS=10000`, huge pages as in its image; its redis-server on the same core';

export const ours = contestant('/v1/keys/', ({ httpPort }) => httpPort);
export const oursOverRedisProtocol = contestant('', ({ respPort }) => respPort);

function contestant(prefix: string, portOf: (started: Started) => number): Contestant {
  return {
    name: NAME,
    caches: true,
    settings: SETTINGS,
    absent,
    version,
    async start(bench, store, needs): Promise<Running> {
      const started = await launch(bench, store, needs);
      const { server } = started;
      const pids = [server.pid, store.server.pid];
      return {
        port: portOf(started),
        prefix,
        suffix: '',
        hashPrefix: '/v1/hashes/',
        pids,
        cachePid: server.pid,
        stop: () => server.stop(),
      };
    },
  };
}
