import { freePort } from '../../../test/support/processes.ts';
import { type CertificateFiles, certificateFiles } from '../certificate.ts';
import type { Contestant, Running } from '../contestant.ts';
import { get } from '../get.ts';
import { installed } from '../workbench.ts';
import { debianVersion } from './debian-version.ts';
import { launch } from './ours.ts';

type Bench = Parameters<Contestant['start']>[0];

/** A server that serves hits over TLS from a cache of its own, in front of this proxy without TLS. */
interface TlsCache {
  readonly name: string;
  /** The command, which is also the name of the Debian package. */
  readonly command: string;
  readonly settings: string;
  /** Writes the configuration and returns the arguments of the command. */
  readonly configure: (bench: Bench, port: number, files: CertificateFiles, backendPort: number) => readonly string[];
}

export function tlsCache({ name, command, settings, configure }: TlsCache): Contestant {
  return {
    name,
    caches: true,
    settings: `in front of this proxy without TLS; ${settings}`,
    absent: () => (installed(command) ? undefined : `${command} is not installed`),
    version: () => debianVersion(command),
    async start(bench, store, needs): Promise<Running> {
      const [backend, files, port] = [
        await launch(bench, store, needs),
        await certificateFiles(bench),
        await freePort(),
      ];
      const server = bench.launch(command, [...configure(bench, port, files, backend.httpPort)]);
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
}
