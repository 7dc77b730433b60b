import type { RedisState } from '../redis/redis.service.ts';

/** What a worker thread tells the supervisor. */
export type WorkerMessage =
  | { readonly kind: 'listening' }
  /** It cannot start; `problem` is for people. */
  | { readonly kind: 'failed'; readonly problem: string }
  | { readonly kind: 'redis'; readonly state: RedisState };

/** What the supervisor tells a worker thread: to answer what it has accepted, and end. */
export type SupervisorMessage = 'drain';
