import type { KeyRule } from './key-pattern-syntax.ts';
import type { RedisNode } from './redis/redis-nodes.ts';
import type { Secret } from './secret.ts';

/** Content codings (RFC 9110, section 8.4.1) that values may be stored in, and compressed with. */
export const CONTENT_CODINGS = ['gzip', 'br', 'zstd'] as const;
export type ContentCoding = (typeof CONTENT_CODINGS)[number];
export const COHERENCE_MODES = ['ttl', 'tracking'] as const;
export const FAST_PATH_STATES = ['on', 'off'] as const;
export const HOT_KEYS_STATES = ['on', 'off'] as const;
export const REQUEST_CACHE_CONTROL_MODES = ['honour', 'ignore'] as const;
export const LOG_FORMATS = ['json', 'pretty'] as const;
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export const NODE_INTERNALS_MODES = ['auto', 'off'] as const;
export const PROXY_MODES = ['parallel', 'sequential'] as const;
export const REDIS_MODES = ['standalone', 'sentinel', 'cluster'] as const;
export const READ_FROM_MODES = ['master', 'replica', 'prefer-replica'] as const;

/** TLS of a listener: the paths of its files, and their content, PEM text that changes when the files do. */
export interface ListenerTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string | undefined;
  readonly cert: string;
  readonly key: Secret;
  /** The authorities of client certificates; undefined: none are required. */
  readonly clientCa: string | undefined;
}

/** The accounts for Redis and for its sentinels. */
export interface RedisLogin {
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: Secret | undefined;
}

/** A file that a setting names. */
export interface NamedFile {
  readonly setting: string;
  readonly path: string;
}

/** The files that an account is read from, which are polled while the proxy runs; undefined: it is not from a file. */
export interface AccountFiles {
  readonly username: NamedFile | undefined;
  readonly password: NamedFile | undefined;
}

/** The settings of one instance, validated once at start and frozen. */
export interface Settings {
  readonly http: {
    readonly host: string;
    readonly port: number;
    readonly contentType: string;
    /** Media types by key, of which the first that matches applies; else `contentType`. */
    readonly contentTypes: readonly KeyRule[];
    /** Codings of stored values by key, as `contentTypes`; values of other keys have none. */
    readonly contentEncodings: readonly KeyRule[];
    /** Codings that values are compressed with, the preferred one first; empty: off. */
    readonly compression: readonly ContentCoding[];
    readonly compressionMinBytes: number;
    /** Empty: no CORS; `*` alone: all origins. */
    readonly corsOrigins: readonly string[];
    readonly maxHeaderBytes: number;
    readonly headersTimeoutMs: number;
    readonly requestTimeoutMs: number;
    readonly keepAliveTimeoutMs: number;
    readonly requestCacheControl: (typeof REQUEST_CACHE_CONTROL_MODES)[number];
    readonly fastPath: (typeof FAST_PATH_STATES)[number];
    /** Undefined: the listener does not use TLS. */
    readonly tls: ListenerTls | undefined;
  };

  readonly resp: {
    /** Undefined: the Redis protocol is off. */
    readonly port: number | undefined;
    /** 0: idle connections are never closed. */
    readonly idleTimeoutMs: number;
    /** Undefined: the listener does not use TLS. */
    readonly tls: ListenerTls | undefined;
  };

  /** The listener of health, metrics, dashboard, API page and admin API. */
  readonly ops: {
    /** Undefined: they are at the HTTP port. */
    readonly port: number | undefined;
    readonly host: string;
  };

  readonly upstash: {
    /** Whether Upstash's REST API is on; requires access tokens. */
    readonly on: boolean;
  };

  readonly redis: {
    readonly mode: (typeof REDIS_MODES)[number];
    readonly tls: boolean;
    /** Host and port are used in standalone mode only; empty and 0 with a socket. */
    readonly host: string;
    readonly port: number;
    /** The path of the Unix socket of a single Redis, in place of host and port. */
    readonly socket: string | undefined;
    /** The sentinels, or some nodes of the cluster; empty in standalone mode. */
    readonly nodes: readonly RedisNode[];
    /** The name of the master, set in sentinel mode, and the account for the sentinels. */
    readonly sentinel: {
      readonly name: string | undefined;
      readonly username: string | undefined;
      readonly password: Secret | undefined;
      readonly accountFiles: AccountFiles;
    };
    /** The servers that loads are read from: always `master` in standalone mode. */
    readonly readFrom: (typeof READ_FROM_MODES)[number];
    readonly database: number;
    readonly username: string | undefined;
    readonly password: Secret | undefined;
    readonly accountFiles: AccountFiles;
    /** The accounts before their files changed last, which are tried while the present ones are rejected. */
    readonly previousLogin: RedisLogin | undefined;
    /** PEM text, as are the certificate and the key. */
    readonly tlsCa: string | undefined;
    /** The client certificate; set if and only if its key is. */
    readonly tlsCert: string | undefined;
    readonly tlsKey: Secret | undefined;
    /** The name for SNI, which the certificate must be valid for; undefined: the host of each server. */
    readonly tlsServerName: string | undefined;
    /** Whether certificates are verified. */
    readonly tlsRejectUnauthorized: boolean;
    readonly commandTimeoutMs: number;
    readonly connectTimeoutMs: number;
    readonly maxValueBytes: number;
  };

  readonly cache: {
    readonly capacity: number;
    readonly maxBytes: number;
    readonly maxValueBytes: number;
    readonly ttlMs: number;
    /** Maximum share, 0 to 0.5, by which the TTL of each entry is shortened. */
    readonly ttlJitter: number;
    readonly negativeTtlMs: number;
    /** Milliseconds after expiry for which a value may be served while Redis is unavailable; 0: not at all. */
    readonly staleIfErrorMs: number;
    /** Milliseconds after expiry for which a value is served while it is reloaded; 0: not at all. */
    readonly staleWhileRevalidateMs: number;
    /** Last share of its TTL, 0 to 0.9, in which an entry that is read is reloaded; 0: not at all. */
    readonly refreshAhead: number;
    readonly respectKeyTtl: boolean;
    readonly coherence: (typeof COHERENCE_MODES)[number];
    /** The pub/sub channel on which messages purge keys; undefined: none. */
    readonly purgeChannel: string | undefined;
    /** The file that keeps the keys over a restart; undefined: none. */
    readonly warmupFile: string | undefined;
    /** Maximum milliseconds that readiness waits for the keys of the file to be loaded. */
    readonly warmupWaitMs: number;
    /** Whether the most read keys are counted. */
    readonly hotKeys: (typeof HOT_KEYS_STATES)[number];
  };

  readonly proxy: {
    readonly mode: (typeof PROXY_MODES)[number];
    /** 1 in sequential mode. */
    readonly threads: number;
    readonly maxConnections: number;
    readonly backlog: number;
    readonly maxConcurrentLoads: number;
    readonly maxQueuedLoads: number;
    /** Milliseconds for which a load may be queued: as long as Redis may take to reply. */
    readonly queueTimeoutMs: number;
    readonly maxBufferedBytes: number;
  };

  readonly access: {
    /** Empty: reads require no authentication. */
    readonly tokens: readonly Secret[];
    /** The file of the tokens, which is polled while the proxy runs. */
    readonly tokenFile: string | undefined;
    /** In the syntax of KEY_ALLOWLIST. */
    readonly keyPatterns: string;
  };

  readonly admin: {
    /** Empty: the admin API is off. */
    readonly tokens: readonly Secret[];
    /** The file of the tokens, which is polled while the proxy runs. */
    readonly tokenFile: string | undefined;
  };

  /** Whether private parts of Node.js and ioredis may be used. */
  readonly nodeInternals: (typeof NODE_INTERNALS_MODES)[number];

  readonly shutdownGraceMs: number;

  readonly log: {
    readonly level: (typeof LOG_LEVELS)[number];
    readonly format: (typeof LOG_FORMATS)[number];
  };
}
