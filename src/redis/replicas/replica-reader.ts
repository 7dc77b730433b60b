import type { RedisOptions } from 'ioredis';
import type { Settings } from '../../config/settings.ts';
import { type ListedNode, addressOf } from '../cluster/slot-map.ts';
import type { CircuitState, WatchCircuit } from '../connection/circuit-breaker.ts';
import { RedisConnection } from '../connection/redis-connection.ts';
import { RetiredConnections } from '../connection/retired-connections.ts';
import type { ValueMemory } from '../connection/value-memory.ts';
import type { Query } from '../query.ts';
import { nodeOptions, redisOptions } from '../redis-options.ts';
import { RedisLogins } from '../redis-logins.ts';
import { type RedisReader, type RedisState, isSameState } from '../redis-reader.ts';
import type { RedisCheck, RedisFailure, RedisReply, RedisTtl, RedisType } from '../redis-reply.ts';
import {
  type Attempt,
  type LoadRole,
  NO_SOURCE,
  type ReadSources,
  counted,
  isCoherent,
  limitStorage,
  readFrom,
} from './read-sources.ts';

/** A connection of this thread, and what it last reported. */
interface Link {
  readonly connection: RedisConnection;
  readonly node: ListedNode | undefined;
  state: RedisState | undefined;
  circuit: CircuitState;
  /** Resolves after the first attempt to connect; undefined afterwards. */
  opening: Promise<void> | undefined;
}

/** Sends a command over a connection and calls back exactly once. */
type Send<Reply> = (connection: RedisConnection, onReply: (reply: Reply | RedisFailure) => void) => void;

/**
 * Reads the server that the main thread has selected among a master and its replicas, with sentinels. With
 * REDIS_READ_FROM=prefer-replica, a read that the replica cannot serve is sent to the master at once; its result is not stored
 * if invalidations or purges are received from the replica.
 */
export class ReplicaReader implements RedisReader {
  readonly #settings: Pick<Settings, 'redis' | 'cache'>;
  readonly #logins: RedisLogins;
  readonly #isCoherent: boolean;
  /** Undefined if the master is never read. */
  readonly #master: Link | undefined;
  #replica: Link | undefined;
  #sources: ReadSources | undefined;
  #state: RedisState | undefined;
  #circuit: CircuitState = 'closed';
  readonly #retired: RetiredConnections;
  #watch: (state: RedisState) => void = () => undefined;
  #watchCircuit: WatchCircuit = () => undefined;
  #watchRefused: (permission: string) => void = () => undefined;
  #watchServed: (role: LoadRole) => void = () => undefined;

  constructor(settings: Pick<Settings, 'redis' | 'cache'>, logins = new RedisLogins(settings.redis)) {
    const { redis } = settings;
    this.#settings = settings;
    this.#logins = logins;
    this.#retired = new RetiredConnections(settings.redis.commandTimeoutMs);
    this.#isCoherent = isCoherent(settings);
    if (redis.readFrom !== 'replica') this.#master = this.#link(redisOptions(redis), undefined);
  }

  async connect(): Promise<void> {
    if (this.#master !== undefined) open(this.#master);
    await Promise.all([this.#master?.opening, this.#replica?.opening]);
    this.#report();
  }

  close(): void {
    this.#retired.close();
    this.#master?.connection.close();
    this.#replica?.connection.close();
  }

  get sources(): ReadSources | undefined {
    return this.#sources;
  }

  useSources(sources: ReadSources): void {
    this.#sources = sources;
    const node = sources.sources.at(0)?.replica;
    const former = this.#replica;
    if (node !== undefined && former?.node !== undefined && addressOf(node) === addressOf(former.node)) return;
    this.#replica = node && this.#link(nodeOptions(this.#settings.redis, node), node);
    if (this.#replica !== undefined) open(this.#replica);
    if (former !== undefined) this.#retired.add(former.connection);
    this.#reportCircuit();
    this.#report();
  }

  watch(watch: (state: RedisState) => void): void {
    this.#watch = watch;
    if (this.#state !== undefined) watch(this.#state);
  }

  watchCircuit(watch: WatchCircuit): void {
    this.#watchCircuit = watch;
    watch(this.#circuit, '');
  }

  watchRefused(watch: (permission: string) => void): void {
    this.#watchRefused = watch;
  }

  /** Never calls back: only a cluster replaces connections. */
  watchReplaced(): void {}

  watchServed(watch: (role: LoadRole) => void): void {
    this.#watchServed = watch;
  }

  fetch(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void {
    const sources = this.#sources;
    this.#read<RedisReply>(
      (connection, onEach) => connection.fetch(query, onEach, memory),
      (reply, isSelected) => {
        onReply(limitStorage(reply, { isCoherent: this.#isCoherent, sources, isSelected }));
      },
    );
  }

  ttl(key: Buffer): Promise<RedisTtl> {
    return this.#query<RedisTtl>((connection) => connection.ttl(key));
  }

  type(key: Buffer): Promise<RedisType> {
    return this.#query<RedisType>((connection) => connection.type(key));
  }

  check(): Promise<RedisCheck> {
    return this.#query<RedisCheck>((connection) => connection.check(), NOT_COUNTED);
  }

  #query<Reply extends { readonly kind: string }>(
    send: (connection: RedisConnection) => Promise<Reply | RedisFailure>,
    count?: (role: LoadRole) => void,
  ): Promise<Reply | RedisFailure> {
    return new Promise((resolve) =>
      this.#read<Reply>((connection, onReply) => void send(connection).then(onReply), resolve, count),
    );
  }

  /**
   * Sends a command to the replica, and to the master if there is no replica or it cannot serve reads.
   *
   * @param onReply called once, with whether the server is the one that the main thread has selected.
   * @param count called with the role of each server that has served it.
   */
  #read<Reply extends { readonly kind: string }>(
    send: Send<Reply>,
    onReply: (reply: Reply | RedisFailure, isSelected: boolean) => void,
    count = this.#watchServed,
  ): void {
    const replica = this.#replica;
    const master = this.#master;
    const to = (link: Link, role: LoadRole): Attempt<Reply> =>
      counted<Reply>(
        (onEach) => whenOpen(link, () => send(link.connection, onEach)),
        () => count(role),
      );
    if (replica === undefined) {
      const isSelected = this.#sources?.sources.at(0)?.role === 'master';
      if (master === undefined) onReply(NO_SOURCE, false);
      else to(master, 'master')((reply) => onReply(reply, isSelected));
      return;
    }
    const attempts = {
      first: to(replica, 'replica'),
      second: master && to(master, 'master'),
      confirmsMissing: false,
      timeoutMs: this.#settings.redis.commandTimeoutMs,
    };
    readFrom<Reply>(attempts, onReply);
  }

  #link(options: RedisOptions, node: ListedNode | undefined): Link {
    const connection = new RedisConnection(options, this.#settings, this.#logins);
    const link: Link = { connection, node, state: undefined, circuit: 'closed', opening: undefined };
    connection.watch((state) => {
      link.state = state;
      this.#report();
    });
    connection.watchCircuit((state, reason) => {
      link.circuit = state;
      this.#reportCircuit(reason);
    });
    connection.watchRefused((permission) => this.#watchRefused(permission));
    return link;
  }

  #reportCircuit(reason = ''): void {
    const circuit = (this.#replica ?? this.#master)?.circuit ?? 'closed';
    if (circuit === this.#circuit) return;
    this.#circuit = circuit;
    this.#watchCircuit(circuit, reason);
  }

  #report(): void {
    const state = this.#currentState();
    if (state === undefined || isSameState(this.#state, state)) return;
    this.#state = state;
    this.#watch(state);
  }

  /** Returns the state of the first server that is reachable; the last one, if any, while the first attempt to connect is pending. */
  #currentState(): RedisState | undefined {
    const links = [this.#replica, this.#master].filter((link) => link !== undefined);
    if (links.length === 0) return { reachable: false, reason: NO_SOURCE.reason };
    const reachable = links.find(({ state }) => state?.reachable);
    if (reachable !== undefined) return reachable.state;
    return links.some(({ state }) => state === undefined) ? this.#state : links[0].state;
  }
}

/** For checks, which are no reads of clients. */
const NOT_COUNTED = (): void => undefined;

function open(link: Link): void {
  link.opening ??= link.connection.connect().then(() => {
    link.opening = undefined;
  });
}

/** Calls `run` at once, or after the first attempt to connect. */
function whenOpen({ opening }: Link, run: () => void): void {
  if (opening === undefined) run();
  else void opening.then(run);
}
