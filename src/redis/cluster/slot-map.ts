import type { RedisNode } from '../../config/redis/redis-nodes.ts';

export const SLOTS = 16_384;

/** A node as listed by CLUSTER SLOTS. */
export interface ListedNode extends RedisNode {
  /** Distinguishes processes at one address; empty if the reply has no id. */
  readonly id: string;
}

/** Slot map of a cluster, as seen by one of its nodes. */
export class SlotMap {
  readonly masters: readonly ListedNode[];
  /** The replicas of each master, in the order of the masters. */
  readonly replicas: readonly (readonly ListedNode[])[];
  /** All listed nodes, replicas included. */
  readonly nodes: readonly RedisNode[];
  /** For each slot, the number of its master, from 1; 0 if the slot has no master. */
  readonly #masterOf: Uint16Array;

  private constructor(
    masters: readonly ListedNode[],
    replicas: readonly (readonly ListedNode[])[],
    nodes: readonly RedisNode[],
    masterOf: Uint16Array,
  ) {
    this.masters = masters;
    this.replicas = replicas;
    this.nodes = nodes;
    this.#masterOf = masterOf;
  }

  /**
   * Parses a slot map.
   *
   * @param reply to CLUSTER SLOTS: arrays of first slot, last slot, master, and replicas, which are arrays of host, port and
   *   node id.
   * @param queriedNode the node that replied; nodes without a host are at the same host.
   * @throws Error if the reply has another format or no slots.
   */
  static parse(reply: unknown, queriedNode: RedisNode): SlotMap {
    const numbers = new Map<string, number>();
    const masters: ListedNode[] = [];
    const replicasOf: Map<string, ListedNode>[] = [];
    const nodes = new Map<string, RedisNode>();
    const masterOf = new Uint16Array(SLOTS);
    for (const range of listIn(reply)) {
      const [first, last, ...members] = listIn(range);
      const [master, ...replicas] = members.map((member) => nodeIn(member, queriedNode));
      if (!isSlot(first) || !isSlot(last) || master === undefined) throw new Error('invalid slot range');
      for (const node of [master, ...replicas]) nodes.set(addressOf(node), node);
      const number = numbers.get(addressOf(master)) ?? masters.push(master);
      numbers.set(addressOf(master), number);
      const known = (replicasOf[number - 1] ??= new Map<string, ListedNode>());
      for (const replica of replicas) known.set(addressOf(replica), replica);
      masterOf.fill(number, first, last + 1);
    }
    // The node has left the cluster or has not joined it yet.
    if (masters.length === 0) throw new Error('no slots');
    const replicas = replicasOf.map((known) => [...known.values()].sort(byAddress));
    return new SlotMap(masters, replicas, [...nodes.values()], masterOf);
  }

  /** Returns the index of the master that serves a slot; -1 if the slot has no master. */
  masterOf(slot: number): number {
    return this.#masterOf[slot] - 1;
  }

  /** Whether every slot has a master. */
  get isComplete(): boolean {
    return !this.#masterOf.includes(0);
  }

  equals(other: SlotMap): boolean {
    return (
      this.masters.length === other.masters.length &&
      this.masters.every((master, i) => isSameNode(master, other.masters[i])) &&
      this.replicas.every((replicas, i) => areSameNodes(replicas, other.replicas[i])) &&
      this.#masterOf.every((number, slot) => number === other.#masterOf[slot])
    );
  }
}

/** Returns `host:port`, which identifies a node; an IPv6 address in brackets. */
export function addressOf({ host, port }: RedisNode): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether two node ids may belong to one process; an empty id is unknown. */
export function isSameId(one: string, other: string): boolean {
  return one === other || one === '' || other === '';
}

export function isSlot(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < SLOTS;
}

function isSameNode(one: ListedNode, other: ListedNode): boolean {
  return addressOf(one) === addressOf(other) && isSameId(one.id, other.id);
}

function areSameNodes(some: readonly ListedNode[], others: readonly ListedNode[]): boolean {
  return some.length === others.length && some.every((node, i) => isSameNode(node, others[i]));
}

function byAddress(one: RedisNode, other: RedisNode): number {
  return addressOf(one) < addressOf(other) ? -1 : 1;
}

function nodeIn(member: unknown, queriedNode: RedisNode): ListedNode {
  const [name, port, id] = listIn(member);
  const host = typeof name === 'string' ? name : '';
  if (!Number.isInteger(port)) throw new Error('invalid node');
  // The node does not know its address or is configured not to publish it.
  return {
    host: host === '' || host === '?' ? queriedNode.host : host,
    port: port as number,
    id: typeof id === 'string' ? id : '',
  };
}

function listIn(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('not an array');
  return value;
}
