import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** A port that nobody listens on. */
export interface FreePort {
  readonly port: number;
  /** To be called when the threads listen on it. */
  readonly release: () => void;
}

/**
 * Makes sure that nobody listens on a port, and finds a free one for port 0. The threads share their port, and a port
 * that may be shared would be shared with another instance as well, without a word. One that was found is kept until the
 * threads have it: the system would give it to the next who asks for any.
 *
 * @param shared whether threads can share a port; if not, one that was found cannot be kept.
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
