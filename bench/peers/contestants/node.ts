import { freePort } from '../../../test/support/processes.ts';
import type { Contestant, Running } from '../contestant.ts';
import { get } from '../get.ts';
import type { Workbench } from '../workbench.ts';

export const nodeHttp: Contestant = {
  name: 'bare node:http',
  caches: false,
  settings: 'one thread, a Buffer from a Map',
  absent: () => undefined,
  version: () => `Node.js ${process.versions.node}`,
  start: (bench) => start(bench, 'node-http-server.ts'),
};

export const nest: Contestant = {
  name: 'Nest + Express',
  caches: false,
  settings: 'one thread, a string from a Map, Express as Nest sets it up',
  absent: () => undefined,
  version: () => `as in package.json, Node.js ${process.versions.node}`,
  start: (bench) => start(bench, 'nest-server.ts'),
};

async function start(bench: Workbench, file: string): Promise<Running> {
  const port = await freePort();
  const env = { NODE_ENV: 'production', PORT: String(port) };
  const server = bench.launch(process.execPath, [new URL(file, import.meta.url).pathname], env);
  await server.ready(async () => void (await get(port, '/v1/keys/key:000000000000')));
  return { port, prefix: '/v1/keys/', suffix: '', pids: [server.pid], cachePid: server.pid, stop: () => server.stop() };
}
