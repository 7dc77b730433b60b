import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Settings } from '../config/settings.ts';

/** What the system says to `SO_REUSEPORT` where threads cannot share a port by it: macOS and Windows do, and old kernels. */
const UNSUPPORTED: ReadonlySet<string | undefined> = new Set([
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOPROTOOPT',
  'ENOSYS',
  'EINVAL',
]);

/** Returns whether several threads can listen on one port, among which the kernel spreads the connections. */
export async function canSharePorts(host: string): Promise<boolean> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ host, port: 0, reusePort: true });
    await once(server, 'listening');
    return true;
  } catch (error) {
    // Any other error is told when the port that is wanted is listened on.
    return !UNSUPPORTED.has((error as NodeJS.ErrnoException).code);
  } finally {
    server.close();
  }
}

/** The settings with one thread, for a platform on which threads cannot share a port; warns if there were to be more. */
export function withOneThread(settings: Settings, warn: (warning: string) => void): Settings {
  const { threads } = settings.proxy;
  if (threads > 1) {
    warn(
      `PROXY_THREADS: threads cannot share a port on this platform (${process.platform}): 1 is used, not ${threads}`,
    );
  }
  return Object.freeze({ ...settings, proxy: Object.freeze({ ...settings.proxy, threads: 1 }) });
}
