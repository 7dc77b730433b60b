import { freePort } from '../../../test/support/processes.ts';
import type { Contestant, Running } from '../contestant.ts';
import { get } from '../get.ts';
import { nginxConfiguration } from '../nginx-configuration.ts';
import { installed } from '../workbench.ts';
import { debianVersion } from './debian-version.ts';

/** Maximum length of a string in the configuration of nginx. */
const MAX_WORD_LENGTH = 2048;

/** Returns a constant, which is about as fast as a server on this machine can be. */
export const nginx: Contestant = {
  name: 'nginx, a constant',
  caches: false,
  settings:
    '`return 200 "…"` (10 KiB: five variables of 2 KiB), `worker_processes 1`, no access log, endless keep-alive',
  absent: () => (installed('nginx') ? undefined : 'nginx is not installed'),
  version: () => debianVersion('nginx'),
  async start(bench, _store, { constant }): Promise<Running> {
    if (constant === undefined) throw new Error('nginx only returns a constant');
    const port = await freePort();
    const path = bench.file(`nginx-${port}.conf`, configuration(port, bench.folder(`nginx-${port}`), constant));
    const server = bench.launch('nginx', ['-e', 'stderr', '-c', path]);
    await server.ready(async () => void (await get(port, '/')));
    return { port, prefix: '/', suffix: '', pids: [server.pid], cachePid: server.pid, stop: () => server.stop() };
  },
};

function configuration(port: number, folder: string, constant: string): string {
  const parts = constant.match(new RegExp(`.{1,${MAX_WORD_LENGTH}}`, 'g')) ?? [];
  const variables = parts.map((part, i) => `set $part${i} "${part}";`).join('\n      ');
  const response =
    parts.length > 1
      ? `${variables}\n      return 200 "${parts.map((_, i) => `$part${i}`).join('')}";`
      : `return 200 "${constant}";`;
  return nginxConfiguration(
    folder,
    `
  default_type application/octet-stream;
  server {
    listen 127.0.0.1:${port};
    location / {
      ${response}
    }
  }`,
  );
}
