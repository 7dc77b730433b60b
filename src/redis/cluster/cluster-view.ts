import type { RedisNode } from '../../config/redis/redis-nodes.ts';

export const SLOTS = 16_384;

/** A node as another node of its cluster names it. */
export interface NamedNode extends RedisNode {
  /** Tells processes at one address apart; empty when the reply does not have it. */
  readonly id: string;
}

/** Which node serves which slot, as one of them sees it. */
export class ClusterView {
  readonly masters: readonly NamedNode[];
  /** All that the node named, replicas included. */
  readonly nodes: readonly RedisNode[];
  /** For each slot the number of its master, from 1; 0: nobody serves it. */
  readonly #masterOf: Uint16Array;

  private constructor(masters: readonly NamedNode[], nodes: readonly RedisNode[], masterOf: Uint16Array) {
    this.masters = masters;
    this.nodes = nodes;
    this.#masterOf = masterOf;
  }

  /**
   * @param reply to CLUSTER SLOTS: arrays of first slot, last slot, master, and replicas, which are arrays of host, port and
   *   node id.
   * @param asked who has replied; the nodes are at the same host when it does not say where they are.
   * @throws Error when it is something else.
   */
  static of(reply: unknown, asked: RedisNode): ClusterView {
    const numbers = new Map<string, number>();
    const masters: NamedNode[] = [];
    const nodes = new Map<string, RedisNode>();
    const masterOf = new Uint16Array(SLOTS);
    for (const range of listIn(reply)) {
      const [first, last, ...members] = listIn(range);
      const [master, ...replicas] = members.map((member) => nodeIn(member, asked));
      if (!isSlot(first) || !isSlot(last) || master === undefined) throw new Error('no range of slots');
      for (const node of [master, ...replicas]) nodes.set(addressOf(node), node);
      const number = numbers.get(addressOf(master)) ?? masters.push(master);
      numbers.set(addressOf(master), number);
      masterOf.fill(number, first, last + 1);
    }
    // A node that has left the cluster, or is new to it.
    if (masters.length === 0) throw new Error('no slots');
    return new ClusterView(masters, [...nodes.values()], masterOf);
  }

  /** Which of the masters serves a slot; -1: none does. */
  masterOf(slot: number): number {
    return this.#masterOf[slot] - 1;
  }

  /** Whether each slot is served. */
  get whole(): boolean {
    return !this.#masterOf.includes(0);
  }

  equals(other: ClusterView): boolean {
    return (
      this.masters.length === other.masters.length &&
      this.masters.every((master, i) => isSameNode(master, other.masters[i])) &&
      this.#masterOf.every((number, slot) => number === other.#masterOf[slot])
    );
  }
}

/** `host:port`; it tells nodes apart. */
export function addressOf({ host, port }: RedisNode): string {
  return `${host}:${port}`;
}

/** Whether two node ids may be of one process: an empty one is not known. */
export function isSameId(one: string, other: string): boolean {
  return one === other || one === '' || other === '';
}

export function isSlot(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < SLOTS;
}

function isSameNode(one: NamedNode, other: NamedNode): boolean {
  return addressOf(one) === addressOf(other) && isSameId(one.id, other.id);
}

function nodeIn(member: unknown, asked: RedisNode): NamedNode {
  const [name, port, id] = listIn(member);
  const host = typeof name === 'string' ? name : '';
  if (!Number.isInteger(port)) throw new Error('no node');
  // Nodes that do not know their address, or are told not to say it.
  return {
    host: host === '' || host === '?' ? asked.host : host,
    port: port as number,
    id: typeof id === 'string' ? id : '',
  };
}

function listIn(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error('no list');
  return value;
}
