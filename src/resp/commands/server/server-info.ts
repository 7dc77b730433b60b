import { totalmem } from 'node:os';
import { memoryUsage } from 'node:process';
import type { CacheService } from '../../../cache/cache.service.ts';
import type { InstanceStats } from '../../../instance/instance-stats.ts';
import { READ_OUTCOMES, type ReadMetrics } from '../../../instance/read-metrics.ts';
import { packageVersion } from '../../../config/package-version.ts';
import type { Settings } from '../../../config/settings.ts';
import { NamePattern } from './name-pattern.ts';

/**
 * Version of Redis that the proxy reports; clients derive from it which commands they send. redis-py and Jedis cache values from
 * this version on only.
 */
export const COMPATIBLE_VERSION = '7.4.0';

type Fields = Readonly<Record<string, string | number>>;

/** Minimum interval over which a rate is measured, in milliseconds. */
const MIN_RATE_MS = 1000;

type ServerSettings = Pick<Settings, 'resp' | 'redis' | 'cache' | 'proxy'>;

/**
 * Renders `INFO` and `CONFIG GET`. Figures cover the whole instance, memory and CPU time the process. Fields of features
 * that a proxy does not have, such as blocked clients and replicas, are 0; unknown ones are omitted.
 */
export class ServerInfo {
  readonly #cache: CacheService;
  readonly #instance: InstanceStats;
  readonly #counts: ReadMetrics;
  readonly #settings: ServerSettings;
  readonly #port: number;
  readonly #configuration: readonly (readonly [string, string])[];
  #rateSince = 0;
  #commandsBefore = 0;
  #commandsPerSecond = 0;

  constructor(
    cache: CacheService,
    instance: InstanceStats,
    counts: ReadMetrics,
    settings: ServerSettings,
    port: number,
  ) {
    this.#cache = cache;
    this.#instance = instance;
    this.#counts = counts;
    this.#settings = settings;
    this.#port = port;
    this.#configuration = [
      ['appendonly', 'no'],
      // Clients may select only this database; its number must be below the count.
      ['databases', String(settings.redis.database + 1)],
      ['maxclients', String(settings.proxy.maxConnections)],
      ['maxmemory', String(settings.cache.maxBytes)],
      ['maxmemory-policy', 'allkeys-lru'],
      ['port', String(port)],
      ['save', ''],
      // In Redis this is in whole seconds, and 0 disables the timeout.
      ['timeout', String(Math.ceil(settings.resp.idleTimeoutMs / 1000))],
    ];
  }

  /** Number of entries in the cache. */
  get entries(): number {
    return this.#cache.stats().entries;
  }

  /** Renders the sections with these names; all sections if there are no names. */
  render(names: readonly string[]): string {
    const wanted = names.map((name) => name.toLowerCase());
    const all = wanted.length === 0 || wanted.some((name) => ['all', 'default', 'everything'].includes(name));
    return Object.entries(this.#sections())
      .filter(([name]) => all || wanted.includes(name.toLowerCase()))
      .map(([name, fields]) => {
        const lines = Object.entries(fields()).map(([field, value]) => `${field}:${value}\r\n`);
        return `# ${name}\r\n${lines.join('')}`;
      })
      .join('\r\n');
  }

  /** Returns names and values of the parameters that match at least one of these glob patterns. */
  configuration(patterns: readonly string[]): readonly (readonly [string, string])[] {
    const wanted = patterns.map((pattern) => new NamePattern(pattern));
    return this.#configuration.filter(([name]) => wanted.some((pattern) => pattern.matches(name)));
  }

  #sections(): Readonly<Record<string, () => Fields>> {
    return {
      Server: () => this.#server(),
      Clients: () => ({
        connected_clients: this.#instance.connections,
        maxclients: this.#settings.proxy.maxConnections,
        ...{ blocked_clients: 0, tracking_clients: this.#instance.trackingClients },
      }),
      Memory: () => this.#memory(),
      Persistence: () => ({
        ...{ loading: 0, rdb_changes_since_last_save: 0, rdb_bgsave_in_progress: 0 },
        ...{ aof_enabled: 0, aof_rewrite_in_progress: 0 },
      }),
      Stats: () => this.#stats(),
      Replication: () => ({ role: 'master', connected_slaves: 0, master_repl_offset: 0 }),
      CPU: () => {
        const { system, user } = process.cpuUsage();
        return { used_cpu_sys: (system / 1e6).toFixed(6), used_cpu_user: (user / 1e6).toFixed(6) };
      },
      Cluster: () => ({ cluster_enabled: 0 }),
      Keyspace: (): Fields => {
        const { entries } = this;
        if (entries === 0) return {};
        return { [`db${this.#settings.redis.database}`]: `keys=${entries},expires=${entries},avg_ttl=0` };
      },
    };
  }

  #server(): Fields {
    const uptime = Math.floor(process.uptime());
    return {
      redis_version: COMPATIBLE_VERSION,
      redis_mode: 'standalone',
      redis_http_cache_proxy_version: packageVersion(),
      os: `${process.platform} ${process.arch}`,
      arch_bits: 64,
      process_id: process.pid,
      tcp_port: this.#port,
      server_time_usec: Date.now() * 1000,
      uptime_in_seconds: uptime,
      uptime_in_days: Math.floor(uptime / 86_400),
      threads: this.#instance.threads,
    };
  }

  #memory(): Fields {
    const used = this.#cache.stats().bytes;
    const rss = memoryUsage.rss();
    const { maxBytes } = this.#settings.cache;
    const system = totalmem();
    return {
      ...{ used_memory: used, used_memory_human: formatBytes(used) },
      ...{ used_memory_rss: rss, used_memory_rss_human: formatBytes(rss) },
      ...{ total_system_memory: system, total_system_memory_human: formatBytes(system) },
      ...{ maxmemory: maxBytes, maxmemory_human: formatBytes(maxBytes), maxmemory_policy: 'allkeys-lru' },
    };
  }

  #stats(): Fields {
    const stats = this.#cache.stats();
    return {
      total_connections_received: this.#instance.respConnections,
      total_commands_processed: this.#counts.commands,
      instantaneous_ops_per_sec: this.#opsPerSecond(),
      total_reads_processed: READ_OUTCOMES.reduce((sum, outcome) => sum + this.#counts.reads('resp', outcome), 0),
      expired_keys: stats.expirations,
      evicted_keys: stats.evictionsByCapacity + stats.evictionsByBytes,
      keyspace_hits: stats.hits,
      keyspace_misses: stats.misses + stats.collapsed,
      ...{ pubsub_channels: 0, pubsub_patterns: 0 },
      loads: stats.loads,
      load_errors: stats.loadErrors,
      loads_in_flight: this.#instance.loads,
      loads_queued: this.#instance.queuedLoads,
    };
  }

  /** Commands per second of the instance since this thread's previous INFO, or since the start. */
  #opsPerSecond(): number {
    const now = process.uptime() * 1000;
    const { commands } = this.#counts;
    if (now - this.#rateSince >= MIN_RATE_MS) {
      this.#commandsPerSecond = Math.round(((commands - this.#commandsBefore) * 1000) / (now - this.#rateSince));
      this.#rateSince = now;
      this.#commandsBefore = commands;
    }
    return this.#commandsPerSecond;
  }
}

/** Formats a size as Redis does, for example `1.50M`. */
function formatBytes(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T'];
  let unit = 0;
  let amount = bytes;
  for (; amount >= 1024 && unit < units.length - 1; unit++) amount /= 1024;
  return `${unit === 0 ? amount : amount.toFixed(2)}${units[unit]}`;
}
