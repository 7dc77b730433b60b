import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Settings } from '../../config/settings.ts';

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
  // Any other error is reported when the threads' port is opened.
  return !UNSUPPORTED.has(await errorOfListening(host, { reusePort: true }));
}

/** Returns the error code of listening on any free port of an address; undefined if it succeeds. */
async function errorOfListening(host: string, options: { reusePort?: boolean } = {}): Promise<string | undefined> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen({ host, port: 0, ...options });
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
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

/** Error codes of listening on `::` where the kernel has no IPv6. */
const NO_IPV6: ReadonlySet<string | undefined> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

/**
 * Returns the settings with 0.0.0.0 in place of `::` if this machine has no IPv6, as Node.js does when no address is given;
 * warns about it.
 */
export async function withAvailableHosts(settings: Settings, warn: (warning: string) => void): Promise<Settings> {
  const { http, ops } = settings;
  if (http.host !== '::' && ops.host !== '::') return settings;
  const code = await errorOfListening('::');
  if (!NO_IPV6.has(code)) return settings;
  warn(`the address :: is not available, as this machine has no IPv6 (${code}); listening on 0.0.0.0`);
  const available = (host: string): string => (host === '::' ? '0.0.0.0' : host);
  return Object.freeze({
    ...settings,
    http: Object.freeze({ ...http, host: available(http.host) }),
    ops: Object.freeze({ ...ops, host: available(ops.host) }),
  });
}
