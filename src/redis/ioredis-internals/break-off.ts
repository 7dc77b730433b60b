import type { Redis } from 'ioredis';

/** Ends a connection whose replies are not those to what was asked: whatever comes next may be somebody else's. */
export function breakOff(redis: Redis): void {
  const error = Object.assign(new Error('an unexpected reply'), { code: 'PROTOCOL' });
  redis.recoverFromFatalError(error, error, { offlineQueue: false });
  // A server that is not to be understood need not end its side.
  redis.stream.destroy();
}
