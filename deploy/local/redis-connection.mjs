import { Redis } from 'ioredis';

/** Returns a connection to a Redis that has replied to PING; undefined if there is none or it requires a password. */
export async function connectTo(url) {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 1000,
    commandTimeout: 1000,
    retryStrategy: () => null,
    // The default is two seconds, for which the timer keeps the process alive if the connection has failed.
    disconnectTimeout: 50,
  });
  redis.on('error', () => {}); // connect() rejects as well
  try {
    await redis.connect();
    if ((await redis.ping()) === 'PONG') return redis;
  } catch {
    // falls through to the end
  }
  redis.disconnect();
  return undefined;
}
