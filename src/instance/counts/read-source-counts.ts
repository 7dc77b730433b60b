import type { LoadRole, ReadSource, ReadSources } from '../../redis/replicas/read-sources.ts';
import { type InstanceMemory, RowCount } from '../instance-memory.ts';
import { SUPERVISOR_ROW } from '../thread-context.ts';

export const SOURCE_ROLES = ['replica', 'master', 'none'] as const satisfies readonly ReadSource['role'][];

/** Roles of servers that serve Redis reads. */
export const LOAD_ROLES = ['replica', 'master'] as const satisfies readonly LoadRole[];

const AT = RowCount.READ_SOURCES;
const [CHANGES, LAG] = [AT + SOURCE_ROLES.length, AT + SOURCE_ROLES.length + 1];

/**
 * What keys are loaded from with REDIS_READ_FROM, readable by every thread: the main thread writes the selected servers, and
 * each thread what it has loaded.
 */
export class ReadSourceCounts {
  readonly #memory: InstanceMemory;
  /** Those of the main thread. */
  readonly #counts: Float64Array;
  /** Those of this thread. */
  readonly #own: Float64Array;

  constructor(memory: InstanceMemory, thread = SUPERVISOR_ROW) {
    this.#memory = memory;
    this.#counts = memory.countsOf(SUPERVISOR_ROW);
    this.#own = memory.countsOf(thread);
  }

  record({ sources }: Pick<ReadSources, 'sources'>): void {
    this.#counts[CHANGES]++;
    for (const [i, role] of SOURCE_ROLES.entries()) {
      this.#counts[AT + i] = sources.filter((source) => source.role === role).length;
    }
  }

  /** @param seconds by which a replica that is read lags behind its master. */
  recordLag(seconds: number): void {
    this.#counts[LAG] = seconds;
  }

  /** Returns the number of masters whose keys are loaded from a server with a role. */
  mastersReadFrom(role: ReadSource['role']): number {
    return this.#counts[AT + SOURCE_ROLES.indexOf(role)];
  }

  /** The role of all servers that are read, `mixed` if they differ; undefined with REDIS_READ_FROM=master. */
  get role(): ReadSource['role'] | 'mixed' | undefined {
    const roles = SOURCE_ROLES.filter((role) => this.mastersReadFrom(role) > 0);
    return roles.length > 1 ? 'mixed' : roles[0];
  }

  /** Counts a Redis read that a server with a role has served. */
  countLoad(role: LoadRole): void {
    this.#own[RowCount.READ_SOURCE_LOADS + LOAD_ROLES.indexOf(role)]++;
  }

  /** Returns the Redis reads of all threads that servers with a role have served. */
  loads(role: LoadRole): number {
    return this.#memory.total(RowCount.READ_SOURCE_LOADS + LOAD_ROLES.indexOf(role));
  }

  /** Selections of servers, including the first. */
  get changes(): number {
    return this.#counts[CHANGES];
  }

  get lagSeconds(): number {
    return this.#counts[LAG];
  }
}
