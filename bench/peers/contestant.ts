import type { Store } from './store.ts';
import type { Workbench } from './workbench.ts';

/** What a case wants of those that cache. */
export interface Needs {
  /** Keys that the cache holds. */
  readonly capacity: number;
  /** The key that is asked for alone, when it is only one: what returns a constant returns its value. */
  readonly constant?: string;
}

/** Someone who answers reads of keys. */
export interface Contestant {
  readonly name: string;
  /** Whether it keeps what it has read from Redis. */
  readonly caches: boolean;
  /** Its settings, for the report. */
  readonly settings: string;
  /** Why it cannot take part, in a few words; undefined when it can. */
  readonly absent: () => string | undefined;
  /** What the report tells of its version. */
  readonly version: () => string;
  start(bench: Workbench, store: Store, needs: Needs): Promise<Running>;
}

/** A contestant that has been started. */
export interface Running {
  /** Speaks HTTP, or the Redis protocol. */
  readonly port: number;
  /** What stands before and after a key in the path of a request. */
  readonly prefix: string;
  readonly suffix: string;
  /** Its processes; those that descend from them count as well. */
  readonly pids: readonly number[];
  /** The one of them whose memory grows with what is cached. */
  readonly cachePid: number;
  stop(): Promise<void>;
}
