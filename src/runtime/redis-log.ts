import { performance } from 'node:perf_hooks';
import type { CircuitState } from '../redis/connection/circuit-breaker.ts';
import type { LoginOutcome } from '../redis/redis-logins.ts';
import type { RedisState } from '../redis/redis-reader.ts';
import type { ReplacedNode } from '../redis/cluster/replaced-node.ts';

/** Milliseconds after its last report for which a replaced node is not logged again. */
const FORGET_REPLACED_MS = 60_000;

/** Where the lines go: a logger of NestJS. */
interface Lines {
  log(line: string): void;
  warn(line: string): void;
}

/** Logs what the threads of an instance report about Redis: each condition once for all threads, and once that it has ended. */
export class RedisLog {
  readonly #lines: Lines;
  readonly #now: () => number;
  /** The last state that each thread reported, by its row. */
  readonly #states = new Map<number, RedisState>();
  #reachable: boolean | undefined;
  /** The reasons for the loss of Redis that have been logged. */
  readonly #loggedReasons = new Set<string>();
  /** The missing permission of the Redis account that has been logged. */
  #missingPermission: string | undefined;
  /** Permissions that were logged because a query other than GET lacked them. */
  readonly #refusedPermissions = new Set<string>();
  /** Rows of the threads with an open circuit. */
  readonly #openCircuits = new Set<number>();
  #circuitOpen = false;
  /** The outcomes that have been logged for changed credentials. */
  readonly #loggedLogins = new Set<LoginOutcome['kind']>();
  /** When each address was last reported as replaced. */
  readonly #replacedAt = new Map<string, number>();

  /** @param now returns milliseconds of a monotonic clock. */
  constructor(lines: Lines, now: () => number = () => performance.now()) {
    this.#lines = lines;
    this.#now = now;
  }

  /**
   * Logs the loss of Redis once, when the first thread reports it, and each further reason once: the end of the connection
   * comes first, the reason why reconnecting fails later. Logs its return when all threads are connected.
   */
  noteState(row: number, state: RedisState): void {
    this.#states.set(row, state);
    const lost = [...this.#states.values()].filter((each) => !each.reachable);
    for (const { reason } of lost) {
      if (this.#loggedReasons.has(reason)) continue;
      this.#lines.warn(`Redis is ${this.#loggedReasons.size === 0 ? '' : 'still '}not reachable (${reason})`);
      this.#loggedReasons.add(reason);
    }
    const reachable = lost.length === 0;
    if (reachable && this.#reachable !== true) this.#lines.log('Redis is reachable');
    if (reachable) this.#loggedReasons.clear();
    this.#reachable = reachable;
    this.#logPermission();
  }

  /** Logs a missing permission once, and once that it has been granted. */
  #logPermission(): void {
    const [missing] = [...this.#states.values()].flatMap((state) =>
      state.reachable ? (state.missingPermission ?? []) : [],
    );
    if (missing === this.#missingPermission || (missing === undefined && !this.#reachable)) return;
    if (missing === undefined) this.#lines.log('the Redis account has the required permissions');
    else this.#lines.warn(`the Redis account lacks ${missing} (NOPERM): every read of Redis fails`);
    this.#missingPermission = missing;
  }

  /** Logs once that the account lacks a permission that not every read needs. */
  noteRefused(permission: string): void {
    if (this.#refusedPermissions.has(permission)) return;
    this.#refusedPermissions.add(permission);
    this.#lines.warn(`the Redis account lacks ${permission} (NOPERM): reads that need it fail`);
  }

  /**
   * Logs the circuit as open from the first open one until the circuits of all threads are closed; omits failed probes.
   *
   * @param reason why it opened.
   */
  noteCircuit(row: number, state: CircuitState, reason: string): void {
    if (state === 'closed') this.#openCircuits.delete(row);
    else this.#openCircuits.add(row);
    const open = this.#openCircuits.size > 0;
    if (this.#circuitOpen === open) return;
    this.#circuitOpen = open;
    if (open) this.#lines.warn(`Redis circuit breaker opened (${reason}); failing fast`);
    else this.#lines.log('Redis circuit breaker closed');
  }

  /** Logs once after each change of the credentials whether connections use them or keep the previous ones. */
  noteLogin(outcome: LoginOutcome): void {
    const { kind } = outcome;
    // A connection that was not authenticated before is reported as not reachable.
    if ((kind === 'refused' && !outcome.isConnected) || this.#loggedLogins.has(kind)) return;
    this.#loggedLogins.add(kind);
    if (kind === 'accepted') return this.#lines.log('Redis accepts the changed credentials');
    const { reason } = outcome;
    this.#lines.warn(`Redis rejects the changed credentials (${reason}); connections keep the previous ones`);
  }

  /** Logs the outcome of the next login again, because the credentials have changed. */
  noteChangedCredentials(): void {
    this.#loggedLogins.clear();
  }

  /** Logs once that a node was replaced at its address, even if several threads report it repeatedly. */
  noteReplaced({ address }: Pick<ReplacedNode, 'address'>): void {
    const now = this.#now();
    const lastAt = this.#replacedAt.get(address) ?? -Infinity;
    this.#replacedAt.set(address, now);
    if (now - lastAt < FORGET_REPLACED_MS) return;
    this.#lines.warn(
      `the Redis node at ${address} was replaced by another one at the same address; connecting to that one`,
    );
  }

  /** Forgets the states of a thread that has exited. */
  forget(row: number): void {
    this.#states.delete(row);
    this.#openCircuits.delete(row);
  }
}
