import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { MutualTls } from './certificates.ts';
import { Child, freePort, until } from './processes.ts';
import { redisClient } from './redis-client.ts';
import type { Relay } from './relay.ts';

const SLOTS = 16_384;
/** cluster-node-timeout while the nodes get to know each other, and while they detect failures: a replica takes over after about one and a half of it. */
const NODE_TIMEOUT_MS = 1000;
/** The same otherwise: a busy machine may suspend a node for seconds. */
const PATIENT_NODE_TIMEOUT_MS = 60_000;

/** Whether replicas do not take over: not before all nodes know each other. */
const NO_FAILOVER = 'cluster-replica-no-failover';

/** A node of a cluster, with a client. */
export interface TestNode {
  readonly port: number;
  /** Port of the cluster bus. */
  readonly bus: number;
  readonly address: string;
  readonly id: string;
  readonly client: Redis;
  readonly server: Child;
}

/** A real Redis Cluster of masters with the same number of slots each, and of their replicas. */
export class TestCluster {
  readonly masters: readonly TestNode[];
  /** The `i`-th is that of the `i`-th master, and further ones are those of the first masters again. */
  readonly replicas: readonly TestNode[];
  readonly #directory: string;

  private constructor(masters: readonly TestNode[], replicas: readonly TestNode[], directory: string) {
    this.masters = masters;
    this.replicas = replicas;
    this.#directory = directory;
  }

  /**
   * @param relays relays at the addresses that nodes announce in place of their own: the `i`-th is before the `i`-th master,
   *   and its replica announces the same address.
   */
  static async start(
    masters = 3,
    replicas = masters,
    args: readonly string[] = [],
    tls?: MutualTls,
    relays: readonly Relay[] = [],
  ): Promise<TestCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'test-cluster-'));
    const nodes: TestNode[] = [];
    try {
      for (let i = 0; i < masters + replicas; i++) {
        const relay = relays.at(i % masters);
        const announced = relay === undefined ? [] : ['--cluster-announce-port', String(relay.port)];
        const node = await startNode(directory, [`--${NO_FAILOVER}`, 'yes', ...args, ...announced], tls);
        nodes.push(node);
        if (relay !== undefined && i < masters) relay.target = node.port;
      }
      const cluster = new TestCluster(nodes.slice(0, masters), nodes.slice(masters), directory);
      await cluster.#join();
      return cluster;
    } catch (error) {
      await stopAll(nodes, directory);
      throw error;
    }
  }

  get nodes(): readonly TestNode[] {
    return [...this.masters, ...this.replicas];
  }

  /** The value of REDIS_NODES. */
  get addresses(): string {
    return this.nodes.map(({ address }) => address).join(',');
  }

  /** The master that served a slot when the cluster was made. */
  firstMasterOf(slot: number): TestNode {
    return this.masters[Math.floor((slot * this.masters.length) / SLOTS)];
  }

  /** Adds a node without slots. */
  async add(): Promise<TestNode> {
    const node = await startNode(this.#directory, []);
    const [{ port, bus }] = this.masters;
    await this.#setNodeTimeout(NODE_TIMEOUT_MS);
    await node.client.cluster('MEET', '127.0.0.1', port, bus);
    await until('all know the new node', () => knowEachOther([...this.nodes, node], this.nodes.length + 1));
    await until('it knows the slots', () => inOrder([...this.nodes, node], this.replicas));
    await this.#setNodeTimeout(PATIENT_NODE_TIMEOUT_MS, node);
    return node;
  }

  /** Waits until every node lists all replicas, as it does once it has heard that they have received something. */
  async replicasListed(): Promise<void> {
    await until('all nodes list all replicas', async () => {
      const lists = await Promise.all(this.nodes.map(({ client }) => client.cluster('SLOTS')));
      return lists.every((slots) => listedReplicas(slots).size === this.replicas.length) || undefined;
    });
  }

  /** Lets a replica take over soon after its master has stopped to reply. */
  async detectFailures(): Promise<void> {
    await this.#setNodeTimeout(NODE_TIMEOUT_MS);
  }

  async stop(...added: readonly TestNode[]): Promise<void> {
    await stopAll([...this.nodes, ...added], this.#directory);
  }

  async #join(): Promise<void> {
    const { masters, replicas, nodes } = this;
    for (const [i, { client }] of masters.entries()) {
      const first = Math.ceil((i * SLOTS) / masters.length);
      const last = Math.ceil(((i + 1) * SLOTS) / masters.length) - 1;
      await client.call('CLUSTER', 'ADDSLOTSRANGE', first, last);
    }
    for (const [i, { client }] of nodes.entries()) await client.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
    for (const { port, bus } of nodes.slice(1)) await nodes[0].client.cluster('MEET', '127.0.0.1', port, bus);
    await until('all nodes know each other', () => knowEachOther(nodes, nodes.length));
    for (const [i, { client }] of replicas.entries()) await client.cluster('REPLICATE', masters[i % masters.length].id);
    await until('the cluster is in order', async () => {
      if ((await inOrder(nodes, replicas)) === undefined) return undefined;
      await this.#setNodeTimeout(PATIENT_NODE_TIMEOUT_MS);
      // A node that was marked as failed just before, because it was suspended, would stay marked for twice the longer timeout.
      if (await inOrder(nodes, replicas)) return true;
      await this.#setNodeTimeout(NODE_TIMEOUT_MS);
      return undefined;
    });
    for (const { client } of nodes) await client.config('SET', NO_FAILOVER, 'no');
  }

  async #setNodeTimeout(ms: number, ...added: readonly TestNode[]): Promise<void> {
    for (const { client } of [...this.nodes, ...added]) await client.config('SET', 'cluster-node-timeout', ms);
  }
}

async function startNode(directory: string, args: readonly string[], tls?: MutualTls): Promise<TestNode> {
  // The cluster's own port has to be one as well, which is 10,000 higher by default.
  const [port, bus] = [await freePort(), await freePort()];
  const server = new Child(
    'redis-server',
    [
      ...(tls === undefined ? ['--port', String(port)] : ['--port', '0', '--tls-port', String(port), ...tls.args]),
      ...['--cluster-port', String(bus), '--bind', '127.0.0.1', '--save', '', '--dir', directory],
      ...['--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${port}.conf`, '--repl-diskless-sync-delay', '0'],
      ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--enable-debug-command', 'yes', ...args],
    ],
    { env: process.env },
  );
  const client = redisClient({ port, tls: tls?.client });
  try {
    await until('the node answers', () => (client.status === 'ready' ? true : undefined));
  } catch (error) {
    client.disconnect();
    await server.stop('SIGKILL');
    throw error;
  }
  const id = String(await client.cluster('MYID'));
  return { port, bus, address: `127.0.0.1:${port}`, id, client, server };
}

async function knowEachOther(nodes: readonly TestNode[], count: number): Promise<true | undefined> {
  const known = await Promise.all(nodes.map(({ client }) => client.cluster('NODES') as Promise<string>));
  const all = known.every((text) => text.trim().split('\n').length === count && !/handshake|noaddr/.test(text));
  return all || undefined;
}

async function inOrder(nodes: readonly TestNode[], replicas: readonly TestNode[]): Promise<true | undefined> {
  const infos = await Promise.all(nodes.map(({ client }) => client.cluster('INFO')));
  const links = await Promise.all(replicas.map(({ client }) => client.info('replication')));
  const views = await Promise.all(nodes.map(({ client }) => client.cluster('NODES') as Promise<string>));
  const healthy =
    infos.every((info) => /cluster_state:ok/.test(info)) &&
    links.every((info) => /master_link_status:up/.test(info)) &&
    views.every((view) => (view.match(/\bslave\b/g) ?? []).length === replicas.length);
  return healthy || undefined;
}

/** Returns the ids of the replicas in a reply to CLUSTER SLOTS, whose entries are first slot, last slot, master, replicas. */
function listedReplicas(slots: Awaited<ReturnType<Redis['cluster']>>): Set<string> {
  const entries = slots as readonly (readonly (readonly unknown[])[])[];
  return new Set(entries.flatMap((entry) => entry.slice(3).map(([, , id]) => String(id))));
}

async function stopAll(nodes: readonly TestNode[], directory: string): Promise<void> {
  await Promise.all(
    nodes.map(async ({ client, server }) => {
      client.disconnect();
      await server.stop('SIGKILL');
    }),
  );
  rmSync(directory, { recursive: true, force: true });
}
