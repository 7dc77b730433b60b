import { threadId, workerData } from 'node:worker_threads';
import type { Settings } from '../config/settings.ts';
import { type Clock, monotonicClock } from '../cache/shared-lru/clock.ts';
import { InstanceMemory, ROWS } from './instance-memory.ts';
import { SharedLru } from '../cache/shared-lru/shared-lru.ts';

/** Leases beyond the places for loads: many keys that are read at once take one place, and a lease each. */
const LEASES_FOR_MANY = 10_000;
/** What a lease lasts beyond the longest wait and load: time to store what was loaded. */
const LEASE_MARGIN_MS = 1000;
/** The main thread's name in the locks; worker threads are named by their `threadId`, which starts at 1. */
const MAIN_THREAD = -1;
/** The row of the supervisor, which is no thread that answers. */
export const SUPERVISOR_ROW = ROWS - 1;

/** What a worker thread is given when it is started. */
export interface ThreadData {
  /** The thread's row in the instance's memory: threads that replace one another have the same. */
  readonly row: number;
  readonly cache: SharedArrayBuffer;
  readonly instance: SharedArrayBuffer;
}

/** This thread's view of what the threads of the instance share. */
export abstract class ThreadContext {
  abstract readonly threadIndex: number;
  /** The thread's name in the locks: no other thread has it, or had it. */
  abstract readonly lockOwnerId: number;
  abstract readonly clock: Clock;
  abstract readonly lru: SharedLru;
  abstract readonly instance: InstanceMemory;
}

/** Maps the memory that this thread was started with. */
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
 * Makes the memory of an instance.
 *
 * @throws LayoutError when so much memory cannot be had.
 */
export function createInstance({ cache, redis, proxy }: Settings): ThreadContext {
  const clock = monotonicClock();
  const limits = {
    capacity: cache.capacity,
    maxBytes: cache.maxBytes,
    maxValueBytes: cache.maxValueBytes,
    maxLeases: proxy.maxConcurrentLoads + proxy.maxQueuedLoads + LEASES_FOR_MANY,
    staleMs: cache.staleIfErrorMs,
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
