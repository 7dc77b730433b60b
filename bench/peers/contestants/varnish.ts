import { freePort } from '../../../test/support/processes.ts';
import type { Contestant, Running } from '../contestant.ts';
import { get } from '../get.ts';
import { installed } from '../workbench.ts';
import { debianVersion } from './debian-version.ts';
import { WEBDIS_PREFIX, WEBDIS_SUFFIX, launchWebdis } from './webdis.ts';

/** Approximate storage that Varnish needs for a 100-byte response of webdis. */
const STORAGE_BYTES_PER_KEY = 1100;

export const varnish: Contestant = {
  name: 'Varnish',
  caches: true,
  settings:
    'in front of webdis; `beresp.ttl = 1h`, malloc storage, one thread pool of 100 threads and more, ' +
    'working folder in memory',
  absent: () =>
    !installed('varnishd')
      ? 'varnish is not installed'
      : installed('webdis')
        ? undefined
        : 'webdis, its backend, is not installed',
  version: () => debianVersion('varnish'),
  async start(bench, store, { capacity }): Promise<Running> {
    const backend = await launchWebdis(bench, store);
    const port = await freePort();
    const vcl = bench.file(`varnish-${port}.vcl`, configuration(backend.port));
    const storage = Math.max(capacity * STORAGE_BYTES_PER_KEY, 2 ** 21);
    const folder = bench.folder(`varnish-${port}`);
    const args = ['-F', '-j', 'none', '-a', `127.0.0.1:${port}`, '-T', 'none', '-f', vcl, '-n', folder];
    args.push('-s', `malloc,${storage}`, '-p', 'thread_pools=1', '-p', 'thread_pool_min=100');
    const server = bench.launch('varnishd', args);
    await server.ready(async () => void (await get(port, `${WEBDIS_PREFIX}key:000000000000${WEBDIS_SUFFIX}`)));
    return {
      port,
      prefix: WEBDIS_PREFIX,
      suffix: WEBDIS_SUFFIX,
      pids: [server.pid, backend.server.pid, store.server.pid],
      cachePid: server.pid,
      stop: async () => {
        await server.stop();
        await backend.server.stop();
      },
    };
  },
};

function configuration(backendPort: number): string {
  return `vcl 4.1;
backend webdis { .host = "127.0.0.1"; .port = "${backendPort}"; }
sub vcl_backend_response { set beresp.ttl = 1h; set beresp.grace = 0s; }
`;
}
