import { Redis } from 'ioredis';
import type { RedisNode } from '../../config/redis/redis-nodes.ts';
import type { RedisLogin, Settings } from '../../config/settings.ts';
import type { ListedNode } from '../cluster/slot-map.ts';
import { errorCode } from '../redis-failure.ts';
import { queryWithin } from '../query-within.ts';
import { LoginChoice, type RedisLogins } from '../redis-logins.ts';
import { sentinelOptions } from '../redis-options.ts';
import type { Servers } from './source-selector.ts';

/** Milliseconds between two queries. */
const REFRESH_MS = 1000;
/** Milliseconds after which the next sentinel is queried instead. */
const MAX_REPLY_MS = 1000;
/** Flags of replicas that do not reply to the sentinel. */
const UNAVAILABLE = /\b(?:s_down|o_down|disconnected)\b/;

/** Receives the results of {@link SentinelTopology}. */
export interface SentinelListener {
  /** Called with the servers that a sentinel lists, also if they are the same as before. */
  onServers(servers: Servers): void;
  /** Called when no sentinel has replied; `reason` is an error code. */
  onUnreachable(reason: string): void;
  /** Whether the servers are those that are expected; otherwise the next sentinel is queried. */
  isStable(): boolean;
}

/** Queries one sentinel after the other for the master and its replicas, once a second. */
export class SentinelTopology {
  readonly #redis: Settings['redis'];
  readonly #loginChoice: LoginChoice;
  readonly #listener: SentinelListener;
  /** The next one to query first. */
  readonly #sentinels: RedisNode[];
  #connection: Redis | undefined;
  /** The credentials of the connection. */
  #login: RedisLogin;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #closed = false;

  constructor(redis: Settings['redis'], logins: RedisLogins, listener: SentinelListener) {
    this.#redis = redis;
    this.#loginChoice = new LoginChoice(logins);
    this.#login = this.#loginChoice.login;
    this.#listener = listener;
    this.#sentinels = [...redis.nodes];
  }

  /** Resolves once a sentinel has replied, or none does. */
  start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#refreshing ??= this.#query().finally(() => {
      this.#refreshing = undefined;
      if (!this.#closed) this.#timer = setTimeout(() => this.refresh(), REFRESH_MS).unref();
    });
    return this.#refreshing;
  }

  /** Queries the sentinels now. */
  refresh(): void {
    void this.start();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#disconnect();
  }

  async #query(): Promise<void> {
    if (!this.#listener.isStable()) this.#disconnect();
    let reason = 'connection';
    for (let remaining = this.#sentinels.length; remaining > 0 && !this.#closed; remaining--) {
      const redis = (this.#connection ??= this.#connect());
      try {
        const servers = await queryServers(redis, this.#redis.sentinel.name ?? '');
        if (!this.#closed) this.#listener.onServers(servers);
        return;
      } catch (error) {
        reason = errorCode(error);
        this.#loginChoice.fail(this.#login, `sentinels: ${reason}`);
        this.#disconnect();
      }
    }
    if (!this.#closed) this.#listener.onUnreachable(reason);
  }

  #connect(): Redis {
    const [sentinel] = this.#sentinels;
    this.#sentinels.push(...this.#sentinels.splice(0, 1));
    this.#login = this.#loginChoice.login;
    const redis = new Redis(sentinelOptions(this.#redis, sentinel, this.#login));
    // Errors are reported by the query.
    redis.on('error', () => undefined);
    return redis;
  }

  #disconnect(): void {
    this.#connection?.disconnect();
    this.#connection = undefined;
  }
}

async function queryServers(redis: Redis, name: string): Promise<Servers> {
  const [master, replicas] = await queryWithin(redis, MAX_REPLY_MS, () =>
    Promise.all([redis.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name), redis.call('SENTINEL', 'REPLICAS', name)]),
  );
  return { master: nodeOf(master), replicas: (replicas as string[][]).flatMap(replicaIn) };
}

function nodeOf(address: unknown): ListedNode | undefined {
  if (!Array.isArray(address)) return undefined;
  const [host, port] = address as string[];
  return { host, port: Number(port), id: '' };
}

/** @param fields names and values in turn. */
function replicaIn(fields: readonly string[]): ListedNode[] {
  const valueOf = (name: string): string => fields[fields.indexOf(name) + 1] ?? '';
  return UNAVAILABLE.test(valueOf('flags')) ? [] : [{ host: valueOf('ip'), port: Number(valueOf('port')), id: '' }];
}
