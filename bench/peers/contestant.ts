import type { Store } from './store.ts';
import type { Workbench } from './workbench.ts';

/** Requirements of a case. */
export interface Needs {
  /** Capacity of the cache in keys. */
  readonly capacity: number;
  /** Value of the only key of the case, if there is only one; servers of a constant return it. */
  readonly constant?: string;
}

/** A server that serves reads of keys. */
export interface Contestant {
  readonly name: string;
  /** Whether it caches values read from Redis. */
  readonly caches: boolean;
  /** Its settings, for the report. */
  readonly settings: string;
  /** Returns the reason why it cannot take part, in a few words; undefined if it can. */
  readonly absent: () => string | undefined;
  /** Returns its version for the report. */
  readonly version: () => string;
  start(bench: Workbench, store: Store, needs: Needs): Promise<Running>;
}

/** A contestant that has been started. */
export interface Running {
  /** Speaks HTTP, or the Redis protocol. */
  readonly port: number;
  /** Whether it uses TLS; default: false. */
  readonly isSecure?: boolean;
  /** Path of a request, before and after the key. */
  readonly prefix: string;
  readonly suffix: string;
  /** Path of a request for a hash, before the key; undefined if it serves none over HTTP. */
  readonly hashPrefix?: string;
  /** Its processes, whose descendants also count. */
  readonly pids: readonly number[];
  /** The process whose memory grows with the cached values. */
  readonly cachePid: number;
  stop(): Promise<void>;
}
