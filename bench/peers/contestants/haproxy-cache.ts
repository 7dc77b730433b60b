import { tlsCache } from './tls-cache.ts';

/** Serves hits over TLS from HAProxy's cache, which is in memory. */
export const haproxyCache = tlsCache({
  name: 'HAProxy, its cache',
  command: 'haproxy',
  settings: '`cache` of 64 MiB, `nbthread 1`, no log',
  configure: (bench, port, { both }, backendPort) => [
    '-db',
    '-f',
    bench.file(`haproxy-${port}.cfg`, configuration(port, both, backendPort)),
  ],
});

function configuration(port: number, certificate: string, backendPort: number): string {
  return `global
  nbthread 1
defaults
  mode http
  timeout client 1h
  timeout server 10s
  timeout connect 1s
  timeout http-keep-alive 1h
cache values
  total-max-size 64
  max-object-size 1048576
  max-age 3600
frontend clients
  bind 127.0.0.1:${port} ssl crt ${certificate} ssl-min-ver TLSv1.3
  http-request cache-use values
  default_backend proxy
backend proxy
  http-response cache-store values
  server proxy 127.0.0.1:${backendPort}
`;
}
