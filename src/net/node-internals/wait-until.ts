import { setImmediate } from 'node:timers/promises';

/** Far longer than a loopback connection takes, also on a busy machine. */
const TIMEOUT_MS = 5000;

/**
 * Yields to I/O until a condition holds.
 *
 * @throws Error that names `what` if it does not happen in time.
 */
export async function waitUntil(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + TIMEOUT_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${TIMEOUT_MS} ms`);
    await setImmediate();
  }
}
