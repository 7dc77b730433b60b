import { freePort } from '../../../test/support/processes.ts';
import { certificateFiles, type CertificateFiles } from '../certificate.ts';
import type { Contestant, Running } from '../contestant.ts';
import { get } from '../get.ts';
import { nginxConfiguration } from '../nginx-configuration.ts';
import { installed } from '../workbench.ts';
import { debianVersion } from './debian-version.ts';
import { launch } from './ours.ts';

/** Serves hits over TLS from nginx's cache, which is in files: in memory here. */
export const nginxCache: Contestant = {
  name: 'nginx, its cache',
  caches: true,
  settings:
    'in front of this proxy without TLS; `proxy_cache` in memory (`/dev/shm`) with `open_file_cache`, `worker_processes 1`, no access log, endless keep-alive',
  absent: () => (installed('nginx') ? undefined : 'nginx is not installed'),
  version: () => debianVersion('nginx'),
  async start(bench, store, needs): Promise<Running> {
    const [backend, files, port] = [await launch(bench, store, needs), await certificateFiles(bench), await freePort()];
    const folder = bench.folder(`nginx-cache-${port}`);
    const path = bench.file(`nginx-cache-${port}.conf`, configuration(port, folder, files, backend.httpPort));
    const server = bench.launch('nginx', ['-e', 'stderr', '-c', path]);
    await server.ready(async () => void (await get(port, '/health/live', true)));
    return {
      ...{ port, isSecure: true, prefix: '/v1/keys/', suffix: '' },
      pids: [server.pid, backend.server.pid, store.server.pid],
      cachePid: server.pid,
      stop: async () => {
        await server.stop();
        await backend.server.stop();
      },
    };
  },
};

function configuration(port: number, folder: string, { cert, key }: CertificateFiles, backendPort: number): string {
  return nginxConfiguration(
    folder,
    `
  sendfile on;
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=keys:10m inactive=2h;
  open_file_cache max=10000 inactive=1h;
  open_file_cache_valid 1h;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_protocols TLSv1.3;
    location / {
      proxy_pass http://127.0.0.1:${backendPort};
      proxy_cache keys;
      proxy_cache_valid 200 1h;
    }
  }`,
  );
}
