import { memoryUsage } from 'node:process';
import type { CacheService } from '../cache/cache.service.ts';
import type { InstanceStats } from '../cache/instance-stats.ts';
import { READ_OUTCOMES, type RequestCounts } from '../cache/request-counts.ts';
import { packageVersion } from '../config/package-version.ts';
import type { Settings } from '../config/settings.ts';
import { NamePattern } from './name-pattern.ts';
import { COMPATIBLE_VERSION } from './compatible-version.ts';

type Fields = Readonly<Record<string, string | number>>;

/** What `INFO` and `CONFIG GET` tell: of the whole instance, but for the memory of the process. */
export class ServerInfo {
  readonly #sections: ReadonlyMap<string, () => Fields>;
  readonly #configuration: readonly (readonly [string, string])[];

  constructor(cache: CacheService, instance: InstanceStats, counts: RequestCounts, settings: Settings, port: number) {
    const startedAt = Date.now();
    this.#sections = new Map([
      [
        'Server',
        () => ({
          redis_version: COMPATIBLE_VERSION,
          redis_mode: 'standalone',
          redis_http_cache_proxy_version: packageVersion(),
          os: `${process.platform} ${process.arch}`,
          process_id: process.pid,
          tcp_port: port,
          uptime_in_seconds: Math.floor((Date.now() - startedAt) / 1000),
          threads: instance.threads,
        }),
      ],
      ['Clients', () => ({ connected_clients: instance.connections, maxclients: settings.proxy.maxConnections })],
      [
        'Memory',
        () => ({
          used_memory: cache.stats().bytes,
          used_memory_rss: memoryUsage.rss(),
          maxmemory: settings.cache.maxBytes,
          maxmemory_policy: 'allkeys-lru',
        }),
      ],
      ['Persistence', () => ({ loading: 0 })],
      [
        'Stats',
        () => {
          const stats = cache.stats();
          return {
            total_reads_processed: READ_OUTCOMES.reduce((sum, outcome) => sum + counts.reads('resp', outcome), 0),
            expired_keys: stats.expirations,
            evicted_keys: stats.evictionsByCapacity + stats.evictionsByBytes,
            keyspace_hits: stats.hits,
            keyspace_misses: stats.misses + stats.collapsed,
            loads: stats.loads,
            load_errors: stats.loadErrors,
            loads_in_flight: instance.loads,
            loads_queued: instance.queuedLoads,
          };
        },
      ],
      ['Replication', () => ({ role: 'master', connected_slaves: 0 })],
      [
        'Keyspace',
        (): Fields => {
          const { entries } = cache.stats();
          return entries === 0
            ? {}
            : { [`db${settings.redis.database}`]: `keys=${entries},expires=${entries},avg_ttl=0` };
        },
      ],
    ]);
    this.#configuration = [
      ['appendonly', 'no'],
      // The only one has this number, so those before it are there, too, and those after it are not.
      ['databases', String(settings.redis.database + 1)],
      ['maxclients', String(settings.proxy.maxConnections)],
      ['maxmemory', String(settings.cache.maxBytes)],
      ['maxmemory-policy', 'allkeys-lru'],
      ['port', String(port)],
      ['save', ''],
      // Redis knows whole seconds, and 0 is for ever.
      ['timeout', String(Math.ceil(settings.resp.idleTimeoutMs / 1000))],
    ];
  }

  /** The sections of these names, or all. */
  render(names: readonly string[]): string {
    const wanted = names.map((name) => name.toLowerCase());
    const all = wanted.length === 0 || wanted.some((name) => ['all', 'default', 'everything'].includes(name));
    return [...this.#sections]
      .filter(([name]) => all || wanted.includes(name.toLowerCase()))
      .map(([name, fields]) => {
        const lines = Object.entries(fields()).map(([field, value]) => `${field}:${value}\r\n`);
        return `# ${name}\r\n${lines.join('')}`;
      })
      .join('\r\n');
  }

  /** Names and values of the parameters that one of these glob patterns fits. */
  configuration(patterns: readonly string[]): readonly (readonly [string, string])[] {
    const wanted = patterns.map((pattern) => new NamePattern(pattern));
    return this.#configuration.filter(([name]) => wanted.some((pattern) => pattern.matches(name)));
  }
}
