import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/**
 * Makes sure that nobody listens on a port, and finds a free one for port 0. The threads share their port, and a port
 * that may be shared would be shared with another instance as well, without a word.
 *
 * @throws the error of listening: EADDRINUSE, EACCES, EADDRNOTAVAIL, ENOTFOUND.
 */
export async function freePort(host: string, port: number): Promise<number> {
  const probe = createServer();
  probe.listen({ host, port, exclusive: true });
  await once(probe, 'listening');
  const found = (probe.address() as AddressInfo).port;
  probe.close();
  await once(probe, 'close');
  return found;
}
