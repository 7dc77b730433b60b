import { Redis } from 'ioredis';

/** A connection to a Redis that has answered a PING, or undefined: nobody there, or one that wants a password. */
export async function connectTo(url) {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 1000,
    commandTimeout: 1000,
    retryStrategy: () => null,
  });
  redis.on('error', () => {}); // the rejection below says it
  try {
    await redis.connect();
    if ((await redis.ping()) === 'PONG') return redis;
  } catch {
    // falls through to the end
  }
  redis.disconnect();
  return undefined;
}
