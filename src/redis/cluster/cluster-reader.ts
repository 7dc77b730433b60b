import { setTimeout as delay } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import type { Settings } from '../../config/settings.ts';
import type { WatchCircuit } from '../connection/circuit-breaker.ts';
import { type ClusterNode, ClusterNodes } from './cluster-nodes.ts';
import { ClusterTopology } from './cluster-topology.ts';
import { type SlotMap, SLOTS, addressOf } from './slot-map.ts';
import {
  type Attempt,
  type LoadRole,
  NO_SOURCE,
  type ReadSource,
  type ReadSources,
  counted,
  isCoherent,
  limitStorage,
  readFrom,
} from '../replicas/read-sources.ts';
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
import { RedisLogins } from '../redis-logins.ts';
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
 * Reads a cluster over one connection per master, and with REDIS_READ_FROM per selected replica: a key is read from the master
 * that serves its slot, or its replica, in one write with all other reads of that node in the same tick. If a master is
 * unreachable, only its slots are unavailable. Redirects are followed within the time-out of the read.
 */
export class ClusterReader implements RedisReader {
  readonly #readFrom: Settings['redis']['readFrom'];
  readonly #isCoherent: boolean;
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #nodes: ClusterNodes;
  readonly #topology: ClusterTopology;
  /** Master of each slot; undefined if the slot has no master or it is unknown. */
  readonly #nodeOfSlot: (ClusterNode | undefined)[] = Array.from({ length: SLOTS });
  /** The servers that were selected, by the address of their master; `node` is a replica. */
  #sourceOf: ReadonlyMap<string, { readonly role: ReadSource['role']; readonly node: ClusterNode | undefined }> =
    new Map();
  #sources: ReadSources | undefined;
  #slotMap: SlotMap | undefined;
  #masters: readonly ClusterNode[] = [];
  /** Whether the topology may be outdated although all connections are established. */
  #stale = false;
  /** Why no node has replied; undefined until the first attempt has ended. */
  #unreachableReason: string | undefined;
  #state: RedisState | undefined;
  #watch: (state: RedisState) => void = () => undefined;
  #watchCircuit: WatchCircuit = () => undefined;
  #watchRefused: (permission: string) => void = () => undefined;
  #watchReplaced: (node: ReplacedNode) => void = () => undefined;
  #watchServed: (role: LoadRole) => void = () => undefined;

  constructor(settings: Pick<Settings, 'redis' | 'cache'>, logins = new RedisLogins(settings.redis)) {
    this.#readFrom = settings.redis.readFrom;
    this.#isCoherent = isCoherent(settings);
    this.#timeoutMs = settings.redis.commandTimeoutMs;
    this.#connectTimeoutMs = settings.redis.connectTimeoutMs;
    this.#nodes = new ClusterNodes(settings, logins, {
      onStateChange: () => this.#report(),
      onCircuitChange: (reason) => this.#watchCircuit(this.#nodes.circuit, reason),
      onRefused: (permission) => this.#watchRefused(permission),
      onReplaced: (node) => this.#watchReplaced(node),
    });
    this.#topology = new ClusterTopology(settings.redis, logins, REFRESH_MS, {
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
      await Promise.all(this.#readNodes.map(({ connection }) => connection.connect()));
    });
    await Promise.race([attempt, delay(this.#connectTimeoutMs, undefined, { ref: false })]);
  }

  get sources(): ReadSources | undefined {
    return this.#sources;
  }

  useSources(sources: ReadSources): void {
    this.#sources = sources;
    this.#sourceOf = new Map(
      sources.sources.map(({ master, role, replica }) => [
        master,
        { role, node: replica && this.#nodes.listed(replica) },
      ]),
    );
    if (this.#slotMap === undefined) return;
    this.#keepNodes(this.#slotMap);
    this.#report();
  }

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

  watchServed(watch: (role: LoadRole) => void): void {
    this.#watchServed = watch;
  }

  fetch(query: Query, onReply: (reply: RedisReply) => void, memory: ValueMemory): void {
    const master = this.#masterOf(query.key);
    if (master === undefined) return onReply(NO_CONNECTION);
    if (this.#readFrom === 'master') return this.#fetchFrom(master, query, onReply, memory);
    const sources = this.#sources;
    this.#readSource<RedisReply>(
      master,
      (node, onEach) => this.#fetchFrom(node, query, onEach, memory),
      (reply, isSelected) => onReply(limitStorage(reply, { isCoherent: this.#isCoherent, sources, isSelected })),
    );
  }

  /** @param onReply called once; `isRedirected`: the reply is not that of `node`. */
  #fetchFrom(
    node: ClusterNode,
    query: Query,
    onReply: (reply: RedisReply, isRedirected?: boolean) => void,
    memory: ValueMemory,
  ): void {
    const sentAt = performance.now();
    const { connection: first, opening } = node;
    const replyOrFollow = (reply: RedisReply): void => {
      if (!isFailure(reply)) return onReply(reply);
      const redirect = this.#handleFailure(reply);
      if (redirect === undefined) return onReply(reply);
      void this.#follow<RedisReply>({ node, connection: first }, redirect, sentAt, (connection, asking) =>
        asking
          ? connection.fetchAsking(query, memory)
          : new Promise((onReply) => connection.fetch(query, onReply, memory)),
      ).then((followed) => onReply(followed, true));
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
  #query<Reply extends { readonly kind: string }>(
    key: Buffer,
    send: (connection: RedisConnection) => Promise<Reply | RedisFailure>,
  ): Promise<Reply | RedisFailure> {
    const master = this.#masterOf(key);
    if (master === undefined) return Promise.resolve(NO_CONNECTION);
    return new Promise((resolve) => {
      if (this.#readFrom === 'master') void this.#queryFrom(master, send, resolve);
      else this.#readSource<Reply>(master, (node, onReply) => void this.#queryFrom(node, send, onReply), resolve);
    });
  }

  /** @param onReply called once; `isRedirected`: the reply is not that of `node`. */
  async #queryFrom<Reply extends { readonly kind: string }>(
    node: ClusterNode,
    send: (connection: RedisConnection) => Promise<Reply | RedisFailure>,
    onReply: (reply: Reply | RedisFailure, isRedirected?: boolean) => void,
  ): Promise<void> {
    const sentAt = performance.now();
    const { connection: first, opening } = node;
    if (opening !== undefined) await opening;
    const reply = await send(first);
    const redirect = this.#handleFailure(reply);
    if (redirect === undefined) return onReply(reply);
    const followed = await this.#follow<Reply>({ node, connection: first }, redirect, sentAt, (connection, asking) =>
      send(asking ? connection.asking() : connection),
    );
    onReply(followed, true);
  }

  /** Returns the master that serves a key; refreshes the topology if it is unknown. */
  #masterOf(key: Buffer): ClusterNode | undefined {
    const master = this.#nodeOfSlot[calculateSlot(key)];
    if (master === undefined) this.#invalidateTopology();
    return master;
  }

  /**
   * Sends a read to the server that was selected for the keys of a master; if that cannot serve it, or none was selected, to
   * the master, unless only replicas may be read. The master also confirms that a key does not exist: a replica does not know
   * that a slot is being moved to another master, with keys that it has had.
   */
  #readSource<Reply extends { readonly kind: string }>(
    master: ClusterNode,
    send: (node: ClusterNode, onReply: (reply: Reply | RedisFailure, isRedirected?: boolean) => void) => void,
    onReply: (reply: Reply | RedisFailure, isSelected: boolean) => void,
  ): void {
    const source = this.#sourceOf.get(addressOf(master.node));
    const to = (node: ClusterNode, role: LoadRole): Attempt<Reply> =>
      counted<Reply>(
        (onEach) => whenOpen(node, () => send(node, onEach)),
        // Redirects lead to masters.
        (isRedirected) => this.#watchServed(isRedirected ? 'master' : role),
      );
    const toMaster = to(master, 'master');
    if (source?.node !== undefined) {
      const second = this.#readFrom === 'prefer-replica' ? toMaster : undefined;
      const first = to(source.node, 'replica');
      readFrom<Reply>({ first, second, confirmsMissing: true, timeoutMs: this.#timeoutMs }, onReply);
    } else if (this.#readFrom === 'replica') onReply(NO_SOURCE, false);
    else toMaster((reply, isRedirected = false) => onReply(reply, source?.role === 'master' && !isRedirected));
  }

  /** Succeeds if at least one server that is read replies: the keys of the others are unavailable through any proxy. */
  async check(): Promise<RedisCheck> {
    const nodes = this.#readNodes;
    const noNode = nodes.length === 0 && this.#readFrom === 'replica' ? NO_SOURCE : NO_CONNECTION;
    let failure: RedisFailure =
      this.#slotMap === undefined
        ? { kind: 'unavailable', reason: this.#unreachableReason ?? NO_CONNECTION.reason }
        : noNode;
    const checks = nodes.map(async ({ connection }) => {
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
    this.#keepNodes(slotMap);
    this.#report();
  }

  #keepNodes({ masters }: SlotMap): void {
    this.#nodes.keep([...masters, ...[...this.#sourceOf.values()].flatMap(({ node }) => node?.node ?? [])]);
  }

  /** The nodes that are read, and masters that may be. */
  get #readNodes(): readonly ClusterNode[] {
    if (this.#readFrom === 'master') return this.#masters;
    const replicas = [...this.#sourceOf.values()].flatMap(({ node }) => node ?? []);
    return this.#readFrom === 'replica' ? replicas : [...replicas, ...this.#masters];
  }

  /** Returns the state of the server that the keys of a master are read from. */
  #stateOf(master: ClusterNode): RedisState | undefined {
    if (this.#readFrom === 'master') return master.state;
    const source = this.#sourceOf.get(addressOf(master.node));
    const isReplicaDown = source?.node?.state?.reachable === false;
    if (source?.node !== undefined && (!isReplicaDown || this.#readFrom === 'replica')) return source.node.state;
    return this.#readFrom === 'replica' ? { reachable: false, reason: NO_SOURCE.reason } : master.state;
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
    if (this.#slotMap === undefined) {
      const reason = this.#unreachableReason;
      return reason === undefined ? undefined : { reachable: false, reason };
    }
    const states = this.#masters.map((master) => this.#stateOf(master));
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

/** Calls `run` at once, or after the first attempt to connect to a node. */
function whenOpen({ state, connection }: ClusterNode, run: () => void): void {
  if (state === undefined) void connection.connect().then(run);
  else run();
}
