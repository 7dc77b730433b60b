import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A port on which no other process listens. */
export interface FreePort {
  readonly port: number;
  /** Must be called when the threads listen on the port. */
  readonly release: () => void;
}

/**
 * Checks that no other process listens on a port, and finds a free port for port 0. The threads share their port with
 * `SO_REUSEPORT`, which would silently share it with another instance as well. A port that was found is kept until the
 * threads listen on it; otherwise the kernel could assign it to another process.
 *
 * @param shared whether threads can share a port; if not, a port that was found cannot be kept.
 * @throws the error of listening: EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOTFOUND.
 */
export async function freePort(host: string, port: number, shared = true): Promise<FreePort> {
  const probe = createServer((socket) => socket.destroy());
  probe.listen({ host, port, ...(port === 0 && shared ? { reusePort: true } : { exclusive: true }) });
  await once(probe, 'listening');
  const found = (probe.address() as AddressInfo).port;
  if (port === 0 && shared) return { port: found, release: () => probe.close() };
  probe.close();
  await once(probe, 'close');
  return { port: found, release: () => undefined };
}
