import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Settings } from '../config/settings.ts';
import type { WatchCircuit } from './circuit-breaker.ts';
import { ClusterReader } from './cluster-reader.ts';
import type { Reader, RedisState } from './reader.ts';
import { RedisConnection } from './redis-connection.ts';
import { redisOptions } from './redis-options.ts';
import type { RedisCheck, RedisExpiry, RedisReply, RedisType } from './redis-reply.ts';
import type { ReplacedNode } from './replaced-node.ts';
import type { ValueMemory } from './value-memory.ts';

/** This thread's way to the Redis. It connects in the background: the proxy starts, and serves hits, without it. */
@Injectable()
export class RedisService implements OnModuleInit, OnApplicationShutdown {
  readonly #reader: Reader;

  constructor(settings: Settings) {
    const { redis } = settings;
    this.#reader =
      redis.mode === 'cluster' ? new ClusterReader(settings) : new RedisConnection(redisOptions(redis), settings);
  }

  onModuleInit(): Promise<void> {
    return this.#reader.connect();
  }

  onApplicationShutdown(): void {
    this.#reader.close();
  }

  /** As {@link Reader.watch}. */
  watch(watch: (state: RedisState) => void): void {
    this.#reader.watch(watch);
  }

  /** As {@link Reader.watchCircuit}. */
  watchCircuit(watch: WatchCircuit): void {
    this.#reader.watchCircuit(watch);
  }

  /** As {@link Reader.watchReplaced}. */
  watchReplaced(watch: (node: ReplacedNode) => void): void {
    this.#reader.watchReplaced?.(watch);
  }

  /** As {@link Reader.fetch}. */
  fetch(key: Buffer, take: (reply: RedisReply) => void, memory: ValueMemory): void {
    this.#reader.fetch(key, take, memory);
  }

  /** As {@link Reader.expiry}. */
  expiry(key: Buffer): Promise<RedisExpiry> {
    return this.#reader.expiry(key);
  }

  /** As {@link Reader.type}. */
  type(key: Buffer): Promise<RedisType> {
    return this.#reader.type(key);
  }

  /** As {@link Reader.check}. */
  check(): Promise<RedisCheck> {
    return this.#reader.check();
  }
}
