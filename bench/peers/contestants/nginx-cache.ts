import type { CertificateFiles } from '../certificate.ts';
import { nginxConfiguration } from '../nginx-configuration.ts';
import { tlsCache } from './tls-cache.ts';

/** Serves hits over TLS from nginx's cache, which is in files: in memory here. */
export const nginxCache = tlsCache({
  name: 'nginx, its cache',
  command: 'nginx',
  settings:
    '`proxy_cache` in memory (`/dev/shm`) with `open_file_cache`, `worker_processes 1`, no access log, endless keep-alive',
  configure: (bench, port, files, backendPort) => {
    const text = configuration(port, bench.folder(`nginx-cache-${port}`), files, backendPort);
    return ['-e', 'stderr', '-c', bench.file(`nginx-cache-${port}.conf`, text)];
  },
});

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
