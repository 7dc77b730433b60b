import { once } from 'node:events';
import { type Server, type Socket, connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const MAX_WAIT_MS = 60_000;
/** Between two attempts where the holder was about to release the lock. */
const RETRY_MS = 10;

/** The lock of a port that another instance has held for too long: it has begun to start there and does not finish. */
export class StartLockTimeout extends Error {
  override readonly name = 'StartLockTimeout';
}

/**
 * Waits until no other instance is starting on one of these ports, and keeps others from doing so until the returned
 * function is called. Threads share a port with `SO_REUSEPORT`, and what allows that allows a second instance of the same
 * user to share it as well: between the check that a port is free and the moment when the first thread listens on it, two
 * instances would both find it free.
 *
 * The lock is a Unix socket with an abstract name for each port. It is in the same network namespace as the port, belongs
 * to no user and to no folder, and the kernel releases it when its holder dies. Only Linux has them; where there are none,
 * or where they are forbidden, nothing is locked.
 *
 * @param ports those that are set; 0 is any free one, which the kernel gives to one instance only.
 * @param maxWaitMs milliseconds for each port.
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
    // In the same order everywhere: two instances that wait for each other would wait for ever.
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

/** The code of the error, if it cannot listen. */
async function listen(server: Server, path: string): Promise<string | undefined> {
  server.listen({ path });
  try {
    await once(server, 'listening');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown reason';
  }
}

/** Settles when the holder of a lock, which never sends, closes the connection or dies, or when the time has passed. */
async function released(path: string, maxMs: number): Promise<void> {
  const socket = connect({ path });
  const timeout = setTimeout(() => socket.destroy(), maxMs);
  // An error is followed by its close: the holder has gone.
  socket.on('error', () => undefined).resume();
  await new Promise((resolve) => socket.once('close', resolve));
  clearTimeout(timeout);
  await delay(RETRY_MS);
}
