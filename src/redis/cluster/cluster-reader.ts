import { setTimeout as delay } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import type { Settings } from '../../config/settings.ts';
import type { WatchCircuit } from '../connection/circuit-breaker.ts';
import { type ClusterNode, ClusterNodes } from './cluster-nodes.ts';
import { ClusterTopology } from './cluster-topology.ts';
import { type SlotMap, SLOTS } from './slot-map.ts';
import { type RedisReader, type RedisState, isSameState } from '../redis-reader.ts';
import type { Redirect } from './redirect.ts';
import { NO_CONNECTION, type RedisConnection } from '../connection/redis-connection.ts';
import {
  type RedisCheck,
  type RedisTtl,
  type RedisFailure,
  type RedisReply,
  type RedisType,
  isFailure,
} from '../redis-reply.ts';
import type { Query } from '../query.ts';
import type { ReplacedNode } from './replaced-node.ts';
import type { ValueMemory } from '../connection/value-memory.ts';

/** Refresh interval of a stable topology, in milliseconds; redirects reveal changes earlier. */
const REFRESH_MS = 5000;
/** Maximum number of redirects that are followed for one command. */
const MAX_REDIRECTS = 5;

const TIMEOUT: RedisFailure = { kind: 'timeout' };
const TOO_MANY_REDIRECTS: RedisFailure = { kind: 'unavailable', reason: 'redirections' };

/** The connection that a command was sent over; it may have been replaced by the time of the reply. */
interface Sender {
  readonly node: ClusterNode;
  readonly connection: RedisConnection;
}

/**
 * Reads a cluster over one connection per master: a key is read from the master that serves its slot, in one write with all
 * other reads of that master in the same tick. If a master is unreachable, only its slots are unavailable. Redirects are
 * followed within the time-out of the read.
 */
export class ClusterReader implements RedisReader {
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #nodes: ClusterNodes;
  readonly #topology: ClusterTopology;
  /** Master of each slot; undefined if the slot has no master or it is unknown. */
  readonly #nodeOfSlot: (ClusterNode | undefined)[] = Array.from({ length: SLOTS });
  #slotMap: SlotMap | undefined;
  #masters: readonly ClusterNode[] = [];
  /** Whether the topology may be outdated although all connections are established. */
  #stale = false;
  #unreachableReason = 'connection';
  #state: RedisState | undefined;
  #watch: (state: RedisState) => void = () => undefined;
  #watchCircuit: WatchCircuit = () => undefined;
  #watchRefused: (permission: string) => void = () => undefined;
  #watchReplaced: (node: ReplacedNode) => void = () => undefined;

  constructor(settings: Pick<Settings, 'redis' | 'cache'>) {
    this.#timeoutMs = settings.redis.commandTimeoutMs;
    this.#connectTimeoutMs = settings.redis.connectTimeoutMs;
    this.#nodes = new ClusterNodes(settings, {
      onStateChange: () => this.#report(),
      onCircuitChange: (reason) => this.#watchCircuit(this.#nodes.circuit, reason),
      onRefused: (permission) => this.#watchRefused(permission),
      onReplaced: (node) => this.#watchReplaced(node),
    });
    this.#topology = new ClusterTopology(settings.redis, REFRESH_MS, {
      onSlotMap: (slotMap) => this.#applySlotMap(slotMap),
      onUnreachable: (reason) => {
        this.#unreachableReason = reason;
        this.#report();
      },
      isStable: () => !this.#stale && this.#currentState()?.reachable === true,
    });
  }

  async connect(): Promise<void> {
    const attempt = this.#topology.start().then(async () => {
      await Promise.all(this.#masters.map(({ connection }) => connection.connect()));
    });
    await Promise.race([attempt, delay(this.#connectTimeoutMs, undefined, { ref: false })]);
  }

  useSources(): void {}

  close(): void {
    this.#topology.close();
    this.#nodes.close();
  }

  watch(watch: (state: RedisState) => void): void {
    this.#watch = watch;
    if (this.#state !== undefined) watch(this.#state);
  }

  /** Each master has its own circuit; the combined state is the worst of them. */
  watchCircuit(watch: WatchCircuit): void {
    this.#watchCircuit = watch;
    watch(this.#nodes.circuit, '');
  }

  watchRefused(watch: (permission: string) => void): void {
    this.#watchRefused = watch;
  }

  watchReplaced(watch: (node: ReplacedNode) => void): void {
    this.#watchReplaced = watch;
  }

  fetch(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void {
    const node = this.#nodeOfSlot[calculateSlot(query.key)];
    if (node === undefined) {
      this.#invalidateTopology();
      return onReply(NO_CONNECTION);
    }
    const sentAt = performance.now();
    const { connection: first, opening } = node;
    const replyOrFollow = (reply: RedisReply): void => {
      if (!isFailure(reply)) return onReply(reply);
      const redirect = this.#handleFailure(reply);
      if (redirect === undefined) return onReply(reply);
      void this.#follow<RedisReply>({ node, connection: first }, redirect, sentAt, (connection, asking) =>
        asking ? connection.fetchAsking(query) : new Promise((onReply) => connection.fetch(query, onReply, memory)),
      ).then(onReply);
    };
    if (opening === undefined) first.fetch(query, replyOrFollow, memory);
    else void opening.then(() => first.fetch(query, replyOrFollow, memory));
  }

  ttl(key: Buffer): Promise<RedisTtl> {
    return this.#query<RedisTtl>(key, (connection) => connection.ttl(key));
  }

  type(key: Buffer): Promise<RedisType> {
    return this.#query<RedisType>(key, (connection) => connection.type(key));
  }

  /** Sends a query about a key to the node that serves it and follows redirects. */
  async #query<Reply extends { readonly kind: string }>(
    key: Buffer,
    send: (connection: RedisConnection) => Promise<Reply | RedisFailure>,
  ): Promise<Reply | RedisFailure> {
    const node = this.#nodeOfSlot[calculateSlot(key)];
    if (node === undefined) {
      this.#invalidateTopology();
      return NO_CONNECTION;
    }
    const sentAt = performance.now();
    const { connection: first, opening } = node;
    if (opening !== undefined) await opening;
    const reply = await send(first);
    const redirect = this.#handleFailure(reply);
    if (redirect === undefined) return reply;
    return this.#follow<Reply>({ node, connection: first }, redirect, sentAt, (connection, asking) =>
      send(asking ? connection.asking() : connection),
    );
  }

  /** Succeeds if at least one master replies: the keys of the others are unavailable through any proxy. */
  async check(): Promise<RedisCheck> {
    let failure: RedisFailure =
      this.#slotMap === undefined ? { kind: 'unavailable', reason: this.#unreachableReason } : NO_CONNECTION;
    const checks = this.#masters.map(async ({ connection }) => {
      const check = await connection.check();
      if (check.kind === 'ok') return check;
      failure = check;
      throw new Error(check.kind);
    });
    return Promise.any(checks).catch(() => failure);
  }

  /** Follows redirects until a node replies, the limit is reached, or the command times out. */
  async #follow<Reply extends { readonly kind: string }>(
    from: Sender,
    first: Redirect,
    sentAt: number,
    send: (connection: RedisConnection, asking: boolean) => Promise<Reply | RedisFailure>,
  ): Promise<Reply | RedisFailure> {
    const end = new AbortController();
    const followRedirects = async (): Promise<Reply | RedisFailure> => {
      let sender = from;
      let redirect = first;
      for (let remaining = MAX_REDIRECTS; remaining > 0; remaining--) {
        const node = this.#redirect(sender, redirect);
        if (node === undefined) break;
        const { connection } = node;
        await connection.connect();
        const reply = await send(connection, redirect.kind === 'ask');
        const next = this.#handleFailure(reply);
        if (next === undefined) return reply;
        redirect = next;
        sender = { node, connection };
      }
      return TOO_MANY_REDIRECTS;
    };
    const remainingMs = Math.max(0, sentAt + this.#timeoutMs - performance.now());
    const timeout = delay(remainingMs, TIMEOUT, { signal: end.signal }).catch(() => TIMEOUT);
    return Promise.race([followRedirects(), timeout]).finally(() => end.abort());
  }

  /**
   * Returns the target of a redirect. If a node redirects to itself, another process has taken over its address, and the
   * connection is replaced; returns undefined if that was done too recently.
   */
  #redirect(from: Sender, { kind, slot, host, port }: Redirect): ClusterNode | undefined {
    const node = this.#nodes.open({ host: host === '' ? from.node.node.host : host, port });
    node.redirectedAt = performance.now();
    if (kind === 'moved') {
      this.#nodeOfSlot[slot] = node;
      this.#invalidateTopology();
    }
    if (node !== from.node) return node;
    this.#invalidateTopology();
    return this.#nodes.replace(node, from.connection) ? node : undefined;
  }

  /** Invalidates the topology if a failure suggests it; returns the redirect of the reply, if any. */
  #handleFailure(reply: { readonly kind: string } | RedisFailure): Redirect | undefined {
    if (!isFailure(reply)) return undefined;
    if (reply.kind === 'timeout') {
      this.#invalidateTopology();
      return undefined;
    }
    if (reply.redirect === undefined && reply.reason !== 'NOPERM') this.#invalidateTopology();
    return reply.redirect;
  }

  #invalidateTopology(): void {
    this.#stale = true;
    this.#topology.refresh();
  }

  #applySlotMap(slotMap: SlotMap): void {
    this.#stale = false;
    this.#slotMap = slotMap;
    this.#masters = slotMap.masters.map((master) => this.#nodes.listed(master));
    // Also if the map is unchanged: a redirect may have come from a node with an outdated one.
    for (let slot = 0; slot < SLOTS; slot++) this.#nodeOfSlot[slot] = this.#masters[slotMap.masterOf(slot)];
    this.#nodes.keep(slotMap.masters);
    this.#report();
  }

  #report(): void {
    const state = this.#currentState();
    if (state === undefined) return;
    if (!state.reachable && this.#slotMap !== undefined) this.#topology.refresh();
    const before = this.#state;
    if (isSameState(before, state)) return;
    this.#state = state;
    this.#watch(state);
  }

  /** Returns the combined state of the masters; the last one, if any, while the first attempt to connect to one is pending. */
  #currentState(): RedisState | undefined {
    if (this.#slotMap === undefined) return { reachable: false, reason: this.#unreachableReason };
    const states = this.#masters.map(({ state }) => state);
    const reasons = states.flatMap((state) => (state?.reachable === false ? [state.reason] : []));
    if (reasons.length > 0) {
      return { reachable: false, reason: `${reasons.length} of ${states.length} masters: ${reasons[0]}` };
    }
    if (!this.#slotMap.isComplete) return { reachable: false, reason: 'slots without a master' };
    if (states.includes(undefined)) return this.#state;
    const missingPermission = states.map((state) => (state?.reachable ? state.missingPermission : undefined));
    return { reachable: true, missingPermission: missingPermission.find((permission) => permission !== undefined) };
  }
}
