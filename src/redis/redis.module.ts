import { Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { cacheConfig, redisConfig } from '../config/namespaces.ts';
import { ClusterReader } from './cluster/cluster-reader.ts';
import { RedisConnection } from './connection/redis-connection.ts';
import { redisOptions } from './redis-options.ts';
import { RedisLogins } from './redis-logins.ts';
import { ReplicaReader } from './replicas/replica-reader.ts';
import { RedisReader } from './redis-reader.ts';

/** Creates the reader for REDIS_MODE and REDIS_READ_FROM. It connects when {@link RedisReader.connect} is called. */
export function createRedisReader(
  redis: ConfigType<typeof redisConfig>,
  cache: ConfigType<typeof cacheConfig>,
  logins = new RedisLogins(redis),
): RedisReader {
  const settings = { redis, cache };
  if (redis.mode === 'cluster') return new ClusterReader(settings, logins);
  if (redis.readFrom !== 'master') return new ReplicaReader(settings, logins);
  return new RedisConnection(redisOptions(redis), settings, logins);
}

/** Provides this thread's connections to Redis. An unreachable Redis delays the start, but does not prevent it. */
@Module({
  providers: [
    {
      provide: RedisLogins,
      inject: [redisConfig.KEY],
      useFactory: (redis: ConfigType<typeof redisConfig>) => new RedisLogins(redis),
    },
    {
      provide: RedisReader,
      inject: [redisConfig.KEY, cacheConfig.KEY, RedisLogins],
      useFactory: createRedisReader,
    },
  ],
  exports: [RedisLogins, RedisReader],
})
export class RedisModule implements OnModuleInit, OnApplicationShutdown {
  readonly #reader: RedisReader;

  constructor(reader: RedisReader) {
    this.#reader = reader;
  }

  onModuleInit(): Promise<void> {
    return this.#reader.connect();
  }

  onApplicationShutdown(): void {
    // The supervisor would log their end as a loss of Redis, if the thread still exports traces.
    this.#reader.watch(() => undefined);
    this.#reader.close();
  }
}
