import { existsSync } from 'node:fs';
import { freePort } from '../../../test/support/processes.ts';
import { certificateFiles } from '../certificate.ts';
import type { Contestant, Needs, Running } from '../contestant.ts';
import { get } from '../get.ts';
import type { Store } from '../store.ts';
import type { Server, Workbench } from '../workbench.ts';

const MAIN = new URL('../../../dist/main.js', import.meta.url).pathname;
const NAME = 'this proxy';
/** Places the cache's buffer in huge pages, as the container image does. */
const HUGE_PAGES = 'glibc.malloc.hugetlb=1';

/** This proxy, started. */
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

/** Starts this proxy. @param more further settings. */
export async function launch(
  bench: Workbench,
  store: Store,
  { capacity }: Needs,
  more: Readonly<Record<string, string>> = {},
): Promise<Started> {
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
    ...more,
  });
  await server.ready(async () => {
    await get(httpPort, '/health/ready', more.HTTP_TLS_CERT_FILE !== undefined);
  });
  return { server, httpPort, respPort };
}

const SETTINGS =
  '`PROXY_THREADS=1`, `CACHE_TTL_MS=3600000`, `REDIS_COMMAND_TIMEOUT_MS=10000`, huge pages as in its image; its redis-server on the same core';

/** Over TLS, with the certificate of the others. */
export const oursOverTls: Contestant = {
  ...contestant('/v1/keys/', ({ httpPort }) => httpPort),
  async start(bench, store, needs): Promise<Running> {
    const { cert, key } = await certificateFiles(bench);
    const started = await launch(bench, store, needs, { HTTP_TLS_CERT_FILE: cert, HTTP_TLS_KEY_FILE: key });
    return { ...runningOf(started, store), port: started.httpPort, isSecure: true, prefix: '/v1/keys/' };
  },
};
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
      return { ...runningOf(started, store), port: portOf(started), prefix };
    },
  };
}

function runningOf({ server }: Started, store: Store): Omit<Running, 'port' | 'prefix'> {
  return {
    suffix: '',
    hashPrefix: '/v1/hashes/',
    pids: [server.pid, store.server.pid],
    cachePid: server.pid,
    stop: () => server.stop(),
  };
}
