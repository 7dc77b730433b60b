import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const MAX_WAIT_MS = 60_000;
/** Milliseconds between two attempts after the holder has released the lock. */
const RETRY_MS = 10;

/** Another instance has held the start lock of a port for too long: it has begun to start and has not finished. */
export class StartLockTimeout extends Error {
  override readonly name = 'StartLockTimeout';
}

/**
 * Acquires a lock for each port, waiting while another instance is starting on it, and returns a function that releases
 * them. Threads share a port with `SO_REUSEPORT`, which allows a second instance of the same user to share it as well:
 * two instances that start at once would both find the port free before either listens on it.
 *
 * A lock is a Unix socket with an abstract name. It belongs to the network namespace of the port, needs no folder and no
 * permissions, and is released by the kernel when its holder dies. Abstract names exist on Linux only; on other platforms,
 * or if they are forbidden, nothing is locked.
 *
 * @param ports the ports in the settings; 0 is ignored, since the kernel assigns a free port to one instance only.
 * @param maxWaitMs maximum milliseconds to wait for each port.
 * @throws StartLockTimeout
 */
export async function lockStart(
  ports: readonly number[],
  maxWaitMs = MAX_WAIT_MS,
  platform = process.platform,
): Promise<() => void> {
  if (platform !== 'linux') return () => undefined;
  const held: (() => void)[] = [];
  const release = (): void => held.splice(0).forEach((one) => one());
  try {
    // A fixed order prevents a deadlock of two instances.
    for (const port of [...new Set(ports)].sort((a, b) => a - b)) {
      if (port !== 0) held.push(await lock(port, performance.now() + maxWaitMs));
    }
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

async function lock(port: number, deadline: number): Promise<() => void> {
  const path = `\0redis-http-cache-proxy starts on port ${port}`;
  for (;;) {
    const waiting = new Set<Socket>();
    const server = createServer((socket) => {
      waiting.add(socket);
      socket.on('error', () => undefined).on('close', () => waiting.delete(socket));
    });
    const code = await listen(server, path);
    if (code === undefined) {
      return () => {
        server.close();
        for (const socket of waiting) socket.destroy();
      };
    }
    if (code !== 'EADDRINUSE') return () => undefined;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) throw new StartLockTimeout(`another instance has been starting on port ${port} for too long`);
    await released(path, leftMs);
  }
}

/** Returns the error code if the server cannot listen. */
async function listen(server: Server, path: string): Promise<string | undefined> {
  server.listen({ path });
  try {
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown reason';
  }
}

/** Resolves when the holder of a lock closes the connection or dies, or after `maxMs` milliseconds. */
async function released(path: string, maxMs: number): Promise<void> {
  const socket = connect({ path });
  const timeout = setTimeout(() => socket.destroy(), maxMs);
  // The error event is followed by close: the holder has gone.
  socket.on('error', () => undefined).resume();
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(timeout);
  await delay(RETRY_MS);
}
