import type { ReadSource, ReadSources } from '../../redis/replicas/read-sources.ts';
import { type InstanceMemory, RowCount } from '../instance-memory.ts';
import { SUPERVISOR_ROW } from '../thread-context.ts';

export const SOURCE_ROLES = ['replica', 'master', 'none'] as const satisfies readonly ReadSource['role'][];

const AT = RowCount.READ_SOURCES;
const [CHANGES, LAG] = [AT + SOURCE_ROLES.length, AT + SOURCE_ROLES.length + 1];

/** What keys are loaded from with REDIS_READ_FROM, written by the main thread and readable by every thread. */
export class ReadSourceCounts {
  readonly #counts: Float64Array;

  constructor(memory: InstanceMemory) {
    this.#counts = memory.countsOf(SUPERVISOR_ROW);
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

  /** Selections of servers, including the first. */
  get changes(): number {
    return this.#counts[CHANGES];
  }

  get lagSeconds(): number {
    return this.#counts[LAG];
  }
}
