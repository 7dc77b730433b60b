import { freePort } from '../../../test/support/processes.ts';
import { certificateFiles } from '../certificate.ts';
import type { Contestant, Running } from '../contestant.ts';
import { get } from '../get.ts';
import { installed } from '../workbench.ts';
import { debianVersion } from './debian-version.ts';
import { launch } from './ours.ts';

/** Serves hits over TLS from HAProxy's cache, which is in memory. */
export const haproxyCache: Contestant = {
  name: 'HAProxy, its cache',
  caches: true,
  settings: 'in front of this proxy without TLS; `cache` of 64 MiB, `nbthread 1`, no log',
  absent: () => (installed('haproxy') ? undefined : 'haproxy is not installed'),
  version: () => debianVersion('haproxy'),
  async start(bench, store, needs): Promise<Running> {
    const [backend, files, port] = [await launch(bench, store, needs), await certificateFiles(bench), await freePort()];
    const path = bench.file(`haproxy-${port}.cfg`, configuration(port, files.both, backend.httpPort));
    const server = bench.launch('haproxy', ['-db', '-f', path]);
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
