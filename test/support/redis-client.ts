import { Redis, type RedisOptions } from 'ioredis';

const OPTIONS: RedisOptions = {
  host: '127.0.0.1',
  retryStrategy: () => 50,
  maxRetriesPerRequest: null,
  // The default is two seconds, for which the timer keeps Jest alive if the server has exited before.
  disconnectTimeout: 50,
};

/** Creates a client of a server that a test starts, stops and restarts: it reconnects until it is disconnected. */
export function redisClient(target: string | RedisOptions): Redis {
  const client = typeof target === 'string' ? new Redis(target, OPTIONS) : new Redis({ ...OPTIONS, ...target });
  client.on('error', () => undefined);
  return client;
}
