import { Injectable } from '@nestjs/common';
import type { SelfCheckPart } from '../instance/instance-memory.ts';
import type { Clock } from '../cache/shared-lru/clock.ts';
import { InstanceStats } from '../instance/instance-stats.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { WarmupState, type WarmupStateName } from '../instance/warmup-state.ts';
import { RedisReader } from '../redis/redis-reader.ts';
import type { RedisCheck } from '../redis/redis-reply.ts';
import { SelfCheck } from './self-check.ts';

/** Milliseconds for which a result is reused. */
const SHARED_MS = 1000;

type PartStatus = 'ok' | 'failed' | 'off' | 'unchecked';

export interface Readiness {
  readonly redis: RedisCheck['kind'];
  readonly fastPath: PartStatus;
  readonly redisProtocol: PartStatus;
  /** State of the warm-up; undefined if there is no CACHE_WARMUP_FILE. */
  readonly warmup: WarmupStateName | undefined;
  /** The failing checks, with their reasons; empty if ready. */
  readonly reasons: readonly string[];
}

/** Checks readiness by reading as clients do, from Redis and through this thread's listeners, at most once a second. */
@Injectable()
export class ReadinessCheck {
  readonly #redis: RedisReader;
  readonly #selfCheck: SelfCheck;
  readonly #instance: InstanceStats;
  readonly #warmup: WarmupState;
  readonly #clock: Clock;
  #shared: Promise<Readiness> | undefined;
  #sharedUntil = Infinity;

  constructor(
    redis: RedisReader,
    selfCheck: SelfCheck,
    instance: InstanceStats,
    warmup: WarmupState,
    { clock }: ThreadContext,
  ) {
    this.#redis = redis;
    this.#selfCheck = selfCheck;
    this.#instance = instance;
    this.#warmup = warmup;
    this.#clock = clock;
  }

  /** Returns the running check, or the last result if it is less than a second old, or starts a check. */
  result(): Promise<Readiness> {
    if (this.#shared === undefined || performance.now() >= this.#sharedUntil) {
      this.#sharedUntil = Infinity;
      this.#shared = this.#check().finally(() => (this.#sharedUntil = performance.now() + SHARED_MS));
    }
    return this.#shared;
  }

  async #check(): Promise<Readiness> {
    const [redis, parts] = await Promise.all([this.#redis.check(), this.#selfCheck.run()]);
    const reasons: string[] = [];
    if (redis.kind !== 'ok') reasons.push(`Redis: ${reasonOf(redis)}`);
    const statusOf = (part: SelfCheckPart, name: string): PartStatus => {
      const state = parts[part];
      const failing = this.#instance.failingSelfChecks(part);
      if (typeof state === 'object') reasons.push(`${name}: ${state.failure}`);
      else if (failing > 0) reasons.push(`${name}: fails in ${failing} of ${this.#instance.threads} threads`);
      else return state;
      return 'failed';
    };
    const fastPath = statusOf('fast-path', 'fast path');
    const redisProtocol = statusOf('redis-protocol', 'Redis protocol');
    const { current, done, total } = this.#warmup;
    const warmup = current === 'off' ? undefined : current;
    if (this.#warmup.isAwaited(this.#clock())) reasons.push(`warm-up: ${done} of ${total} entries`);
    return { redis: redis.kind, fastPath, redisProtocol, warmup, reasons };
  }
}

function reasonOf(failure: Exclude<RedisCheck, { kind: 'ok' }>): string {
  if (failure.kind === 'timeout') return 'no reply in time';
  if (failure.missingPermission !== undefined) return `the account lacks ${failure.missingPermission} (NOPERM)`;
  return failure.reason === 'circuit' ? 'the circuit breaker is open' : failure.reason;
}
