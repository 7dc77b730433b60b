import { setTimeout as delay } from 'node:timers/promises';
import calculateSlot from 'cluster-key-slot';
import type { Settings } from '../../config/settings.ts';
import type { WatchCircuit } from '../connection/circuit-breaker.ts';
import { type ClusterNode, ClusterNodes } from './cluster-nodes.ts';
import { ClusterTopology } from './cluster-topology.ts';
import { type ClusterView, SLOTS } from './cluster-view.ts';
import { type RedisReader, type RedisState, isSameState } from '../redis-reader.ts';
import type { Redirect } from './redirect.ts';
import { NO_CONNECTION, type RedisConnection } from '../connection/redis-connection.ts';
import type { RedisCheck, RedisExpiry, RedisFailure, RedisReply, RedisType } from '../redis-reply.ts';
import type { ReplacedNode } from './replaced-node.ts';
import type { ValueMemory } from '../connection/value-memory.ts';

/** How often a cluster is looked at when nothing gives cause for it; who asks the wrong node is told so by that. */
const INTERVAL_MS = 5000;
/** A key that is sent on more often is not found by going on. */
const MAX_REDIRECTS = 5;

const TIMEOUT: RedisFailure = { kind: 'timeout' };
const TOO_MANY_REDIRECTS: RedisFailure = { kind: 'unavailable', reason: 'redirections' };

/** The connection that a command was sent over, which a node may have replaced by the time of the reply. */
interface Asked {
  readonly node: ClusterNode;
  readonly connection: RedisConnection;
}

/**
 * Reads a cluster, over one connection to each master: a key is asked for where its slot is served, with all that is asked
 * of this node in this turn of the event loop. Nothing waits for a node that is not there, and only its slots are
 * unavailable. Redirections are followed, within the time that a read has.
 */
export class ClusterReader implements RedisReader {
  readonly #timeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #nodes: ClusterNodes;
  readonly #topology: ClusterTopology;
  /** Where each slot is served; undefined: nowhere, or not known. */
  readonly #nodeOf: (ClusterNode | undefined)[] = Array.from({ length: SLOTS });
  #view: ClusterView | undefined;
  #masters: readonly ClusterNode[] = [];
  /** Whether something is amiss that the states of the connections do not show. */
  #doubtful = false;
  #unseen = 'connection';
  #state: RedisState | undefined;
  #watch: (state: RedisState) => void = () => undefined;
  #watchCircuit: WatchCircuit = () => undefined;
  #watchReplaced: (node: ReplacedNode) => void = () => undefined;

  constructor(settings: Pick<Settings, 'redis' | 'cache'>) {
    this.#timeoutMs = settings.redis.commandTimeoutMs;
    this.#connectTimeoutMs = settings.redis.connectTimeoutMs;
    this.#nodes = new ClusterNodes(settings, {
      changed: () => this.#report(),
      circuitChanged: (reason) => this.#watchCircuit(this.#nodes.circuit, reason),
      replaced: (node) => this.#watchReplaced(node),
    });
    this.#topology = new ClusterTopology(settings.redis, INTERVAL_MS, {
      seen: (view) => this.#see(view),
      unseen: (reason) => {
        this.#unseen = reason;
        this.#report();
      },
      content: () => !this.#doubtful && this.#currentState().reachable,
    });
  }

  async connect(): Promise<void> {
    const attempt = this.#topology.start().then(async () => {
      await Promise.all(this.#masters.map(({ connection }) => connection.connect()));
    });
    await Promise.race([attempt, delay(this.#connectTimeoutMs, undefined, { ref: false })]);
  }

  close(): void {
    this.#topology.close();
    this.#nodes.close();
  }

  watch(watch: (state: RedisState) => void): void {
    this.#watch = watch;
    if (this.#state !== undefined) watch(this.#state);
  }

  /** The circuit of each master is its own; it is open when one of them is. */
  watchCircuit(watch: WatchCircuit): void {
    this.#watchCircuit = watch;
    watch(this.#nodes.circuit, '');
  }

  watchReplaced(watch: (node: ReplacedNode) => void): void {
    this.#watchReplaced = watch;
  }

  fetch(key: Buffer, take: (reply: RedisReply) => void, memory: ValueMemory): void {
    const node = this.#nodeOf[calculateSlot(key)];
    if (node === undefined) {
      this.#doubt();
      return take(NO_CONNECTION);
    }
    const askedAt = performance.now();
    const { connection: asked, opening } = node;
    const takeOrFollow = (reply: RedisReply): void => {
      if (reply.kind !== 'timeout' && reply.kind !== 'unavailable') return take(reply);
      const redirect = this.#judge(reply);
      if (redirect === undefined) return take(reply);
      void this.#follow<RedisReply>({ node, connection: asked }, redirect, askedAt, (connection, moving) =>
        moving ? connection.fetchMoving(key) : new Promise((got) => connection.fetch(key, got, memory)),
      ).then(take);
    };
    if (opening === undefined) asked.fetch(key, takeOrFollow, memory);
    else void opening.then(() => asked.fetch(key, takeOrFollow, memory));
  }

  expiry(key: Buffer): Promise<RedisExpiry> {
    return this.#query<RedisExpiry>(key, (connection) => connection.expiry(key));
  }

  type(key: Buffer): Promise<RedisType> {
    return this.#query<RedisType>(key, (connection) => connection.type(key));
  }

  /** Sends a query about a key to the node that serves it, and where redirections lead. */
  async #query<Reply extends { readonly kind: string }>(
    key: Buffer,
    send: (connection: RedisConnection) => Promise<Reply | RedisFailure>,
  ): Promise<Reply | RedisFailure> {
    const node = this.#nodeOf[calculateSlot(key)];
    if (node === undefined) {
      this.#doubt();
      return NO_CONNECTION;
    }
    const askedAt = performance.now();
    const { connection: asked, opening } = node;
    if (opening !== undefined) await opening;
    const reply = await send(asked);
    const redirect = this.#judge(reply);
    if (redirect === undefined) return reply;
    return this.#follow<Reply>({ node, connection: asked }, redirect, askedAt, (connection, moving) =>
      send(moving ? connection.asking() : connection),
    );
  }

  /** Whether one of the masters answers, as the keys of the others are no better off with another proxy. */
  async check(): Promise<RedisCheck> {
    let failure: RedisFailure =
      this.#view === undefined ? { kind: 'unavailable', reason: this.#unseen } : NO_CONNECTION;
    const answers = this.#masters.map(async ({ connection }) => {
      const answer = await connection.check();
      if (answer.kind === 'ok') return answer;
      failure = answer;
      throw new Error(answer.kind);
    });
    return Promise.any(answers).catch(() => failure);
  }

  /** Sends a command to where a redirect leads, and so on, for as long as there is time. */
  async #follow<Reply extends { readonly kind: string }>(
    from: Asked,
    first: Redirect,
    askedAt: number,
    ask: (connection: RedisConnection, moving: boolean) => Promise<Reply | RedisFailure>,
  ): Promise<Reply | RedisFailure> {
    const end = new AbortController();
    const walk = async (): Promise<Reply | RedisFailure> => {
      let asked = from;
      let redirect = first;
      for (let left = MAX_REDIRECTS; left > 0; left--) {
        const node = this.#redirect(asked, redirect);
        if (node === undefined) break;
        const { connection } = node;
        await connection.connect();
        const reply = await ask(connection, redirect.kind === 'ask');
        const next = this.#judge(reply);
        if (next === undefined) return reply;
        redirect = next;
        asked = { node, connection };
      }
      return TOO_MANY_REDIRECTS;
    };
    const leftMs = Math.max(0, askedAt + this.#timeoutMs - performance.now());
    const timeUp = delay(leftMs, TIMEOUT, { signal: end.signal }).catch(() => TIMEOUT);
    return Promise.race([walk(), timeUp]).finally(() => end.abort());
  }

  /**
   * The node that a redirect leads to. If that is the node that has sent it, another process has its address, which new
   * connections lead to; undefined when one was opened a moment ago and did not.
   */
  #redirect(from: Asked, { kind, slot, host, port }: Redirect): ClusterNode | undefined {
    const node = this.#nodes.at({ host: host === '' ? from.node.node.host : host, port });
    node.redirectedAt = performance.now();
    if (kind === 'moved') {
      this.#nodeOf[slot] = node;
      this.#doubt();
    }
    if (node !== from.node) return node;
    this.#doubt();
    return this.#nodes.replace(node, from.connection) ? node : undefined;
  }

  /** What a failure says of the cluster; answers where else to ask, if it says so. */
  #judge(reply: { readonly kind: string } | RedisFailure): Redirect | undefined {
    if (!isFailure(reply)) return undefined;
    if (reply.kind === 'timeout') {
      this.#doubt();
      return undefined;
    }
    if (reply.redirect === undefined && reply.reason !== 'NOPERM') this.#doubt();
    return reply.redirect;
  }

  #doubt(): void {
    this.#doubtful = true;
    this.#topology.refresh();
  }

  #see(view: ClusterView): void {
    this.#doubtful = false;
    this.#view = view;
    this.#masters = view.masters.map((master) => this.#nodes.named(master));
    // Also when nothing has changed: a redirection may have come from a node that did not know yet.
    for (let slot = 0; slot < SLOTS; slot++) this.#nodeOf[slot] = this.#masters[view.masterOf(slot)];
    this.#nodes.keep(view.masters);
    this.#report();
  }

  #report(): void {
    const state = this.#currentState();
    if (!state.reachable && this.#view !== undefined) this.#topology.refresh();
    const before = this.#state;
    if (isSameState(before, state)) return;
    this.#state = state;
    this.#watch(state);
  }

  #currentState(): RedisState {
    if (this.#view === undefined) return { reachable: false, reason: this.#unseen };
    const lost = this.#masters.flatMap(({ state }) => (state.reachable ? [] : [state.reason]));
    if (lost.length > 0) {
      return { reachable: false, reason: `${lost.length} of ${this.#masters.length} masters: ${lost[0]}` };
    }
    if (!this.#view.whole) return { reachable: false, reason: 'slots without a master' };
    const missingRight = this.#masters.map(({ state }) => (state.reachable ? state.missingRight : undefined));
    return { reachable: true, missingRight: missingRight.find((right) => right !== undefined) };
  }
}

function isFailure(reply: { readonly kind: string }): reply is RedisFailure {
  return reply.kind === 'timeout' || reply.kind === 'unavailable';
}
