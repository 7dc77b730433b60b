import { threadId, workerData } from 'node:worker_threads';
import type { Settings } from '../config/settings.ts';
import { type Clock, monotonicClock } from '../cache/shared-lru/clock.ts';
import { InstanceMemory, ROWS } from './instance-memory.ts';
import { SharedLru } from '../cache/shared-lru/shared-lru.ts';

/** Leases beyond the number of loads: a multi-key read is one load but has one lease per key. */
const LEASES_FOR_MANY = 10_000;
/** Milliseconds by which a lease outlasts the longest queueing and load: time to store the value. */
const LEASE_MARGIN_MS = 1000;
/** Lock owner id of the main thread; worker threads use their `threadId`, which starts at 1. */
const MAIN_THREAD = -1;
/** Index of the supervisor's row. */
export const SUPERVISOR_ROW = ROWS - 1;

/** `workerData` of a worker thread. */
export interface ThreadData {
  /** Index of the thread's row in the instance's memory; a restarted thread keeps the row of its predecessor. */
  readonly row: number;
  readonly cache: SharedArrayBuffer;
  readonly instance: SharedArrayBuffer;
}

/** This thread's view of the memory that the threads of the instance share. */
export abstract class ThreadContext {
  abstract readonly threadIndex: number;
  /** Id of the thread in locks and leases; no other thread has or had it. */
  abstract readonly lockOwnerId: number;
  abstract readonly clock: Clock;
  abstract readonly lru: SharedLru;
  abstract readonly instance: InstanceMemory;
}

/** Maps the shared memory passed to this worker thread. */
export function attachThread(): ThreadContext {
  const data = workerData as ThreadData;
  const clock = monotonicClock();
  return {
    threadIndex: data.row,
    lockOwnerId: threadId,
    clock,
    lru: SharedLru.attach(data.cache, threadId, clock),
    instance: new InstanceMemory(data.instance),
  };
}

/**
 * Reserves the shared memory of an instance.
 *
 * @throws LayoutError if the memory cannot be reserved.
 */
export function createInstance({ cache, redis, proxy }: Settings): ThreadContext {
  const clock = monotonicClock();
  const limits = {
    capacity: cache.capacity,
    maxBytes: cache.maxBytes,
    maxValueBytes: cache.maxValueBytes,
    maxLeases: proxy.maxConcurrentLoads + proxy.maxQueuedLoads + LEASES_FOR_MANY,
    staleMs: cache.staleIfErrorMs,
    revalidateMs: cache.staleWhileRevalidateMs,
    refreshAhead: cache.refreshAhead,
    maxThreads: proxy.threads,
    hotKeys: cache.hotKeys === 'on',
    leaseMs: proxy.queueTimeoutMs + redis.commandTimeoutMs + LEASE_MARGIN_MS,
  };
  return {
    threadIndex: 0,
    lockOwnerId: MAIN_THREAD,
    clock,
    lru: SharedLru.create(limits, MAIN_THREAD, clock),
    instance: InstanceMemory.create(),
  };
}
