import { expect } from '@jest/globals';

const DEADLINE_MS = 60_000;
const PAUSE_MS = 40;

/**
 * Calls `read` until its result equals `expected`; throws what `expect` throws if it does not in time. For whatever becomes
 * visible only after the response that a test has received: log lines, and counts of another thread.
 */
export async function eventually(read: () => unknown, expected: unknown, ms = DEADLINE_MS): Promise<void> {
  const deadline = performance.now() + ms;
  for (;;) {
    const actual = await read();
    try {
      expect(actual).toEqual(expected);
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
