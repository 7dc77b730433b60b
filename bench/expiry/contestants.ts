import { freePort } from '../../test/support/processes.ts';
import { debianVersion } from '../peers/contestants/debian-version.ts';
import { get } from '../peers/get.ts';
import { nginxConfiguration } from '../peers/nginx-configuration.ts';
import { type Server, type Workbench, installed } from '../peers/workbench.ts';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;
/** Seconds for which the servers that revalidate may serve an expired value. */
const WINDOW_S = 60;

export const KEY = 'hot';
export const VALUE = 'v'.repeat(100);
export const TTL_MS = 1000;

/** Where a server loads the value from, in 50 ms. */
export interface Origins {
  /** Port of Redis, which has the value under {@link KEY}. */
  readonly redisPort: number;
  /** Port of an HTTP server that returns the value. */
  readonly httpPort: number;
}

/** A caching server that keeps the value for a second. */
export interface Contestant {
  readonly name: string;
  /** Settings that matter here, in Markdown. */
  readonly settings: string;
  readonly version: () => string;
  /** Path of the value. */
  readonly path: string;
  /** Returns the reason why it cannot take part; undefined if it can. */
  readonly absent: () => string | undefined;
  start(bench: Workbench, origins: Origins, port: number): Server;
}

export const CONTESTANTS: readonly Contestant[] = [
  ours('this proxy', 0),
  ours('this proxy, revalidating', WINDOW_S * 1000),
  {
    name: 'Varnish, with grace',
    settings: `\`beresp.ttl = 1s\`, \`beresp.grace = ${WINDOW_S}s\`, one thread pool of 100 threads`,
    version: () => debianVersion('varnish'),
    path: '/',
    absent: () => (installed('varnishd') ? undefined : 'varnish is not installed'),
    start: (bench, { httpPort }, port) => {
      const vcl = `vcl 4.1;
backend origin { .host = "127.0.0.1"; .port = "${httpPort}"; }
sub vcl_backend_response { set beresp.ttl = ${TTL_MS / 1000}s; set beresp.grace = ${WINDOW_S}s; }
`;
      const args = ['-F', '-j', 'none', '-a', `127.0.0.1:${port}`, '-T', 'none', '-n', bench.folder(`varnish-${port}`)];
      args.push('-f', bench.file(`varnish-${port}.vcl`, vcl), '-s', 'malloc,16m');
      return bench.launch('varnishd', [...args, '-p', 'thread_pools=1', '-p', 'thread_pool_min=100']);
    },
  },
  {
    name: 'nginx, with background updates',
    settings:
      '`proxy_cache_valid 1s`, `proxy_cache_use_stale updating`, `proxy_cache_background_update on`, `worker_processes 1`, cache in memory',
    version: () => debianVersion('nginx'),
    path: '/',
    absent: () => (installed('nginx') ? undefined : 'nginx is not installed'),
    start: (bench, { httpPort }, port) => {
      const path = bench.file(`nginx-${port}.conf`, nginxCaching(port, httpPort, bench.folder(`nginx-${port}`)));
      return bench.launch('nginx', ['-e', 'stderr', '-c', path]);
    },
  },
];

function ours(name: string, revalidateMs: number): Contestant {
  return {
    name,
    settings: `\`PROXY_THREADS=1\`, \`CACHE_TTL_MS=${TTL_MS}\`, \`CACHE_STALE_WHILE_REVALIDATE_MS=${revalidateMs}\``,
    version: () => `as built, Node.js ${process.versions.node}`,
    path: `/v1/keys/${KEY}`,
    absent: () => undefined,
    start: (bench, { redisPort }, port) =>
      bench.launch(process.execPath, [MAIN], {
        NODE_ENV: 'production',
        HTTP_HOST: '127.0.0.1',
        HTTP_PORT: String(port),
        REDIS_URL: `redis://127.0.0.1:${redisPort}/0`,
        PROXY_THREADS: '1',
        CACHE_TTL_MS: String(TTL_MS),
        CACHE_STALE_WHILE_REVALIDATE_MS: String(revalidateMs),
        LOG_LEVEL: 'warn',
      }),
  };
}

function nginxCaching(port: number, httpPort: number, folder: string): string {
  return nginxConfiguration(
    folder,
    `
  proxy_cache_path ${folder}/cache keys_zone=values:1m use_temp_path=off;
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://127.0.0.1:${httpPort};
      proxy_cache values;
      proxy_cache_valid 200 ${TTL_MS / 1000}s;
      proxy_cache_use_stale updating;
      proxy_cache_background_update on;
      proxy_cache_lock on;
    }
  }`,
  );
}

/** Starts a contestant; returns its port once it serves the value. */
export async function launch(
  bench: Workbench,
  contestant: Contestant,
  origins: Origins,
): Promise<{ readonly server: Server; readonly port: number }> {
  const { name, path } = contestant;
  const port = await freePort();
  const server = contestant.start(bench, origins, port);
  await server.ready(async () => {
    const body = (await get(port, path)).toString();
    if (body !== VALUE) throw new Error(`${name} does not return the value`);
  });
  return { server, port };
}
