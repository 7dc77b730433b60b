import { setTimeout as delay } from 'node:timers/promises';
import type { LoggerService } from '@nestjs/common';
import type { Settings } from '../../config/settings.ts';
import { ClusterTopology } from '../cluster/cluster-topology.ts';
import { ReplacementLimiter } from '../cluster/replacement-limiter.ts';
import { type ListedNode, type SlotMap, addressOf } from '../cluster/slot-map.ts';
import { FailoverWatch } from '../failover-watch.ts';
import type { ReadServer, ServerList } from '../masters.ts';
import type { RedisLogins } from '../redis-logins.ts';
import { nodeOptions } from '../redis-options.ts';
import type { ReadSource, ReadSources } from './read-sources.ts';
import { SentinelTopology } from './sentinel-topology.ts';
import { ServerMonitor } from './server-monitor.ts';
import { type Servers, SourceSelector, keyOf } from './source-selector.ts';

/** Milliseconds between two queries for the nodes of a stable cluster. */
const CLUSTER_REFRESH_MS = 500;

/** Receives the results of {@link SourceSelection}. */
export interface SelectionListener {
  /** Called with each selection, after the watchers of {@link SourceSelection.servers}. */
  onSources(sources: ReadSources): void;
  /** Called after each check with the maximum seconds by which a replica that is read lags behind its master, as far as is known. */
  onLag(seconds: number): void;
}

/** A master and what was selected for its keys. */
interface Shard {
  /** `host:port` in a cluster; REDIS_SENTINEL_NAME. */
  readonly name: string;
  readonly selector: SourceSelector;
}

/**
 * Selects, in the main thread, the server that the keys of each master are loaded from, for REDIS_READ_FROM `replica` and
 * `prefer-replica`. All threads of the instance read the same server, so that one invalidation stream covers what they cache.
 */
export class SourceSelection {
  readonly #redis: Settings['redis'];
  readonly #logins: RedisLogins;
  readonly #logger: Pick<LoggerService, 'log' | 'warn'>;
  readonly #listener: SelectionListener;
  /** By name, and in a cluster the id of the master. */
  readonly #shards = new Map<string, Shard>();
  readonly #latestEpoch = new Int32Array(new SharedArrayBuffer(4));
  readonly #followers = new Set<(servers: readonly ReadServer[]) => void>();
  readonly #topology: Pick<SentinelTopology, 'start' | 'refresh' | 'close'>;
  /** Undefined in a cluster. */
  readonly #failovers: FailoverWatch | undefined;
  readonly #limiter = new ReplacementLimiter();
  readonly #stopLoginChanges: () => void;
  /** Number of replacements of each address without a change of its node id. */
  readonly #replacements = new Map<string, number>();
  #sources: ReadSources;
  #published = '';
  #unreachableReason = '';

  constructor(
    redis: Settings['redis'],
    logins: RedisLogins,
    logger: Pick<LoggerService, 'log' | 'warn'>,
    listener: SelectionListener,
  ) {
    this.#redis = redis;
    this.#logins = logins;
    this.#logger = logger;
    this.#listener = listener;
    this.#sources = { epoch: 0, latestEpoch: this.#latestEpoch, sources: [] };
    const common = {
      onUnreachable: (reason: string) => this.#reportUnreachable(reason),
      isStable: () => this.#isStable,
    };
    if (redis.mode === 'cluster') {
      const onSlotMap = (slotMap: SlotMap): void => this.#updateCluster(slotMap);
      this.#topology = new ClusterTopology(redis, logins, CLUSTER_REFRESH_MS, { ...common, onSlotMap });
    } else {
      const onServers = (servers: Servers): void => this.#updateSentinel(servers);
      this.#topology = new SentinelTopology(redis, logins, { ...common, onServers });
      // Before the next query: the worker threads leave a former master at once.
      this.#failovers = new FailoverWatch(redis, logins, () => this.#refresh());
    }
    // Servers that refused the former credentials may accept the new ones.
    this.#stopLoginChanges = logins.onChange(() => this.#refresh());
  }

  /** Waits for the first selection, at most REDIS_CONNECT_TIMEOUT_MS. */
  async start(): Promise<void> {
    this.#failovers?.start();
    const selected = this.#topology
      .start()
      .then(() => Promise.all([...this.#shards.values()].map(({ selector }) => selector.refresh())));
    await Promise.race([selected, delay(this.#redis.connectTimeoutMs, undefined, { ref: false })]);
  }

  get sources(): ReadSources {
    return this.#sources;
  }

  /** Returns the servers that are read, for code that needs a connection to each of them. */
  servers(): ServerList {
    let follow: ((servers: readonly ReadServer[]) => void) | undefined;
    return {
      watch: (onServers) => {
        follow = onServers;
        this.#followers.add(onServers);
        onServers(this.#readServers());
      },
      refresh: () => this.#refresh(),
      replace: (replaced) => this.#replace(replaced.address),
      close: () => {
        if (follow !== undefined) this.#followers.delete(follow);
      },
    };
  }

  close(): void {
    this.#stopLoginChanges();
    this.#failovers?.close();
    this.#topology.close();
    for (const { selector } of this.#shards.values()) selector.close();
  }

  #refresh(): void {
    this.#topology.refresh();
    for (const { selector } of this.#shards.values()) void selector.refresh();
  }

  /** Whether a server was selected for each master; otherwise another sentinel or node may list other servers. */
  get #isStable(): boolean {
    const selections = [...this.#shards.values()].map(({ selector: { selection } }) => selection.role);
    return selections.length > 0 && !selections.includes('pending') && !selections.includes('none');
  }

  #updateSentinel(servers: Servers): void {
    this.#unreachableReason = '';
    const name = this.#redis.sentinel.name ?? '';
    const shard = this.#shards.get(name) ?? this.#add(name, name);
    void shard.selector.update(servers);
  }

  #updateCluster({ masters, replicas, isComplete }: SlotMap): void {
    this.#unreachableReason = '';
    const listed = new Set<string>();
    for (const [i, master] of masters.entries()) {
      const name = addressOf(master);
      const key = keyOf(master);
      listed.add(key);
      const shard = this.#shards.get(key) ?? this.#add(key, name);
      void shard.selector.update({ master, replicas: replicas[i] });
    }
    // A partitioned node does not list the other masters.
    if (!isComplete) return;
    for (const [key, { selector }] of this.#shards) {
      if (listed.has(key)) continue;
      selector.close();
      this.#shards.delete(key);
    }
    this.#publish();
  }

  /** Follows the server at an address over a new connection, because existing ones may lead to a previous process there. */
  #replace(address: string): void {
    if (this.#limiter.tryReplace(address) > 0) return;
    this.#replacements.set(address, (this.#replacements.get(address) ?? 0) + 1);
    this.#refresh();
    this.#follow();
  }

  #add(key: string, name: string): Shard {
    const selector = new SourceSelector({
      mayReadMaster: this.#redis.readFrom === 'prefer-replica',
      createMonitor: (node, onLost) => {
        const { commandTimeoutMs, mode } = this.#redis;
        const options = nodeOptions(this.#redis, node);
        return new ServerMonitor(options, this.#logins, mode === 'cluster', commandTimeoutMs, onLost);
      },
      onSelection: () => {
        this.#log(shard);
        this.#publish();
      },
      onChecked: () => this.#listener.onLag(Math.max(...[...this.#shards.values()].map((each) => each.selector.lagS))),
    });
    const shard: Shard = { name, selector };
    this.#shards.set(key, shard);
    return shard;
  }

  #reportUnreachable(reason: string): void {
    if (this.#unreachableReason === reason) return;
    this.#unreachableReason = reason;
    const problem = this.#redis.mode === 'cluster' ? 'no node lists the replicas' : 'no sentinel lists the replicas';
    this.#logger.warn(`${problem} (${reason}); the last known ones are used`);
  }

  #log({ name, selector: { selection } }: Shard): void {
    if (selection.role === 'pending') return;
    switch (selection.role) {
      case 'replica': {
        const { replica, reason } = selection;
        const line = `keys of ${name} are loaded from replica ${addressOf(replica)}`;
        if (reason === '') this.#logger.log(line);
        else this.#logger.warn(`${line}, which is outdated (${reason}): no other server can be read`);
        break;
      }
      case 'master':
        this.#logger.warn(`keys of ${name} are loaded from the master, no replica can be read: ${selection.reason}`);
        break;
      case 'none':
        this.#logger.warn(`keys of ${name} cannot be loaded, no server can be read: ${selection.reason}`);
        break;
    }
  }

  #publish(): void {
    const sources = [...this.#shards.values()].flatMap(sourceOf);
    const text = JSON.stringify(sources);
    if (text === this.#published) return;
    this.#published = text;
    const epoch = this.#sources.epoch + 1;
    this.#sources = { epoch, latestEpoch: this.#latestEpoch, sources };
    // First of all: from now on, no thread stores what it reads from a former source. Then the invalidation stream changes, which
    // expires all entries.
    Atomics.store(this.#latestEpoch, 0, epoch);
    this.#follow();
    this.#listener.onSources(this.#sources);
  }

  #follow(): void {
    const servers = this.#readServers();
    for (const follow of this.#followers) follow(servers);
  }

  #readServers(): ReadServer[] {
    return [...this.#shards.values()].flatMap(({ name, selector: { selection } }) => {
      switch (selection.role) {
        case 'pending':
          return [];
        case 'none':
          return [{ name, identity: `none ${name}`, nodeId: '', options: undefined }];
        case 'replica':
          return [this.#nodeServer(selection.replica)];
        case 'master':
          return [this.#nodeServer(selection.master)];
      }
    });
  }

  #nodeServer(node: ListedNode): ReadServer {
    const name = addressOf(node);
    const identity = ['node', name, node.id, this.#replacements.get(name) ?? 0].join(' ');
    return { name, identity, nodeId: node.id, options: nodeOptions(this.#redis, node) };
  }
}

function sourceOf({ name, selector: { selection } }: Shard): ReadSource[] {
  switch (selection.role) {
    case 'pending':
      return [];
    case 'none':
      return [{ master: name, role: 'none' }];
    case 'master':
      return [{ master: name, role: 'master', address: addressOf(selection.master) }];
    case 'replica': {
      const { replica } = selection;
      return [{ master: name, role: 'replica', address: addressOf(replica), replica }];
    }
  }
}
