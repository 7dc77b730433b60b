import type { Redis } from 'ioredis';

/** Sends a query, and closes the connection if there is no reply in time. Throws the first error of the connection, if any. */
export async function queryWithin<Reply>(redis: Redis, maxMs: number, send: () => Promise<Reply>): Promise<Reply> {
  let firstError: unknown;
  const keepFirst = (error: unknown): void => void (firstError ??= error);
  redis.on('error', keepFirst);
  const timer = setTimeout(() => redis.disconnect(), maxMs);
  try {
    return await send();
  } catch (error) {
    // The cause of the close is more useful than the fact that the connection was closed.
    throw firstError ?? error;
  } finally {
    clearTimeout(timer);
    redis.off('error', keepFirst);
  }
}
