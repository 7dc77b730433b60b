import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Settings } from '../config/settings.ts';

/** Error codes of `SO_REUSEPORT` on platforms where threads cannot share a port: macOS, Windows and old kernels. */
const UNSUPPORTED: ReadonlySet<string | undefined> = new Set([
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOPROTOOPT',
  'ENOSYS',
  'EINVAL',
]);

/** Returns whether several threads can listen on one port, with connections distributed by the kernel. */
export async function canSharePorts(host: string): Promise<boolean> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ host, port: 0, reusePort: true });
    await once(server, 'listening');
    return true;
  } catch (error) {
    // Any other error is reported when the threads' port is opened.
    return !UNSUPPORTED.has((error as NodeJS.ErrnoException).code);
  } finally {
    server.close();
  }
}

/** Returns the settings with one thread, for platforms on which threads cannot share a port; warns if more were set. */
export function withOneThread(settings: Settings, warn: (warning: string) => void): Settings {
  const { threads } = settings.proxy;
  if (threads > 1) {
    warn(
      `PROXY_THREADS: using 1 thread, not ${threads}: threads cannot share a port on this platform (${process.platform})`,
    );
  }
  return Object.freeze({ ...settings, proxy: Object.freeze({ ...settings.proxy, threads: 1 }) });
}
