import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { cacheConfig, redisConfig } from '../config/namespaces.ts';
import type { WatchCircuit } from './connection/circuit-breaker.ts';
import { ClusterReader } from './cluster/cluster-reader.ts';
import type { RedisReader, RedisState } from './redis-reader.ts';
import { RedisConnection } from './connection/redis-connection.ts';
import { redisOptions } from './redis-options.ts';
import type { RedisCheck, RedisTtl, RedisReply, RedisType } from './redis-reply.ts';
import type { ReplacedNode } from './cluster/replaced-node.ts';
import type { ValueMemory } from './connection/value-memory.ts';

/** This thread's connections to Redis. They are established in the background: the proxy starts and serves hits without them. */
@Injectable()
export class RedisService implements OnModuleInit, OnApplicationShutdown {
  readonly #reader: RedisReader;

  constructor(
    @Inject(redisConfig.KEY) redis: ConfigType<typeof redisConfig>,
    @Inject(cacheConfig.KEY) cache: ConfigType<typeof cacheConfig>,
  ) {
    const settings = { redis, cache };
    this.#reader =
      redis.mode === 'cluster' ? new ClusterReader(settings) : new RedisConnection(redisOptions(redis), settings);
  }

  onModuleInit(): Promise<void> {
    return this.#reader.connect();
  }

  onApplicationShutdown(): void {
    this.#reader.close();
  }

  /** As {@link RedisReader.watch}. */
  watch(watch: (state: RedisState) => void): void {
    this.#reader.watch(watch);
  }

  /** As {@link RedisReader.watchCircuit}. */
  watchCircuit(watch: WatchCircuit): void {
    this.#reader.watchCircuit(watch);
  }

  /** As {@link RedisReader.watchReplaced}. */
  watchReplaced(watch: (node: ReplacedNode) => void): void {
    this.#reader.watchReplaced?.(watch);
  }

  /** As {@link RedisReader.fetch}. */
  fetch(key: Buffer, take: (reply: RedisReply) => void, memory: ValueMemory): void {
    this.#reader.fetch(key, take, memory);
  }

  /** As {@link RedisReader.expiry}. */
  ttl(key: Buffer): Promise<RedisTtl> {
    return this.#reader.ttl(key);
  }

  /** As {@link RedisReader.type}. */
  type(key: Buffer): Promise<RedisType> {
    return this.#reader.type(key);
  }

  /** As {@link RedisReader.check}. */
  check(): Promise<RedisCheck> {
    return this.#reader.check();
  }
}
