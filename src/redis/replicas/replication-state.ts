/**
 * Seconds for which a replica may lag behind its master, or have heard nothing from it, without another server being read. A
 * master that has nothing to replicate sends PING every ten seconds (repl-ping-replica-period).
 */
const MAX_CURRENT_LAG_S = 15;
/** Seconds after which a replica that has lost its master, or lags behind it, is not read at all: repl-timeout of Redis. */
const MAX_LAG_S = 60;
/** Milliseconds after which the offset of a master is discarded. */
const MAX_SAMPLE_AGE_MS = 2 * MAX_LAG_S * 1000;

/** What a server reports about its replication. */
export interface Replication {
  readonly role: 'master' | 'replica';
  /** Whether a replica is connected to its master. */
  readonly isLinkUp: boolean;
  /** Seconds since a replica received data of its master; infinite if unknown. */
  readonly silentS: number;
  /** Identifies the history that the offset belongs to. */
  readonly id: string;
  /** Bytes of the replication stream that were produced, or applied by a replica. */
  readonly offset: number;
}

/** Parses the reply to `INFO replication`. */
export function parseReplication(info: string): Replication {
  const fields = new Map(info.split('\r\n').map((line) => line.split(':', 2) as [string, string]));
  const secondsOf = (name: string): number => {
    const seconds = Number(fields.get(name) ?? -1);
    return seconds >= 0 ? seconds : Infinity;
  };
  const isReplica = fields.get('role') === 'slave';
  const isLinkUp = fields.get('master_link_status') === 'up';
  return {
    role: isReplica ? 'replica' : 'master',
    isLinkUp,
    silentS: isReplica ? secondsOf(isLinkUp ? 'master_last_io_seconds_ago' : 'master_link_down_since_seconds') : 0,
    id: fields.get('master_replid') ?? '',
    offset: Number(fields.get(isReplica ? 'slave_repl_offset' : 'master_repl_offset') ?? 0),
  };
}

interface Sample {
  /** By `performance.now()`. */
  readonly at: number;
  readonly offset: number;
}

/** Offsets of a master over time, by which the lag of its replicas is measured. */
export class MasterOffsets {
  #id = '';
  /** Ascending, with the time at which each offset was first reported. */
  #samples: Sample[] = [];

  /** @param now the time at which the master was queried, by `performance.now()`. */
  add({ id, offset }: Replication, now: number): void {
    if (id !== this.#id) this.#samples = [];
    this.#id = id;
    if (offset > (this.#samples.at(-1)?.offset ?? -1)) this.#samples.push({ at: now, offset });
    const firstUsed = this.#samples.findIndex(({ at }) => now - at <= MAX_SAMPLE_AGE_MS);
    // The last sample remains.
    this.#samples.splice(0, firstUsed === -1 ? this.#samples.length - 1 : firstUsed);
  }

  /**
   * Returns for how many seconds a replica has lacked something that the master had, at least: 0 if it has everything, or if
   * its offset cannot be compared.
   *
   * @param now the time at which the replica replied.
   */
  lagS({ id, offset }: Replication, now: number): number {
    if (id !== this.#id) return 0;
    const missing = this.#samples.find((sample) => sample.offset > offset);
    return missing === undefined ? 0 : Math.max(0, now - missing.at) / 1000;
  }
}

/** Why a server cannot be read, or what it reported. */
export type ServerStatus =
  | { readonly kind: 'failed'; readonly reason: string }
  | {
      readonly kind: 'ok';
      readonly replication: Replication;
      /** Seconds by which a replica lags behind its master, as far as is known. */
      readonly lagS: number;
    };

/** `current`: preferred to all other servers. `outdated`: read if there is no other server. `unusable`: not read. */
export type ReplicaGrade = 'current' | 'outdated' | 'unusable';

/** Grades a server as a replica to read; returns why if it is not current. */
export function gradeReplica(status: ServerStatus): { readonly grade: ReplicaGrade; readonly reason: string } {
  if (status.kind === 'failed') return { grade: 'unusable', reason: status.reason };
  const { replication, lagS } = status;
  const { role, isLinkUp, silentS } = replication;
  if (role === 'master') return { grade: 'unusable', reason: 'it is a master' };
  const behindS = Math.max(silentS, lagS);
  if (isLinkUp && behindS <= MAX_CURRENT_LAG_S) return { grade: 'current', reason: '' };
  const reason = isLinkUp
    ? lagS > MAX_CURRENT_LAG_S
      ? `it lags by ${Math.round(lagS)} s`
      : `no data of its master for ${silentS} s`
    : 'its link to the master is down';
  return { grade: behindS <= MAX_LAG_S ? 'outdated' : 'unusable', reason };
}
