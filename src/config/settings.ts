import type {
  COHERENCE_MODES,
  FAST_PATH_STATES,
  LOG_FORMATS,
  LOG_LEVELS,
  NODE_INTERNALS_MODES,
  PROXY_MODES,
  REDIS_MODES,
} from './environment/environment.ts';
import type { RedisNode } from './redis/redis-nodes.ts';
import type { Secret } from './secret.ts';

/** The settings of one instance: parsed once, frozen, injected wherever they are needed. */
export abstract class Settings {
  abstract readonly http: {
    readonly host: string;
    readonly port: number;
    readonly contentType: string;
    /** Empty: none; `*` alone: all. */
    readonly corsOrigins: readonly string[];
    readonly maxHeaderBytes: number;
    readonly headersTimeoutMs: number;
    readonly requestTimeoutMs: number;
    readonly keepAliveTimeoutMs: number;
    readonly fastPath: (typeof FAST_PATH_STATES)[number];
  };

  abstract readonly resp: {
    /** Undefined: the Redis protocol is not spoken. */
    readonly port: number | undefined;
    /** 0: idle connections are kept for ever. */
    readonly idleTimeoutMs: number;
  };

  abstract readonly upstash: {
    /** Whether the REST dialect is answered; only where reads need a token. */
    readonly on: boolean;
  };

  abstract readonly redis: {
    readonly mode: (typeof REDIS_MODES)[number];
    readonly tls: boolean;
    /** Of the only Redis; of no meaning in the other modes, as is the port. */
    readonly host: string;
    readonly port: number;
    /** The sentinels, or some nodes of the cluster; empty in the standalone mode. */
    readonly nodes: readonly RedisNode[];
    /** The master's name is there in the sentinel mode; the account is that at the sentinels. */
    readonly sentinel: {
      readonly name: string | undefined;
      readonly username: string | undefined;
      readonly password: Secret | undefined;
    };
    readonly database: number;
    readonly username: string | undefined;
    readonly password: Secret | undefined;
    /** PEM text, as are the following. */
    readonly tlsCa: string | undefined;
    /** What the proxy proves with who it is; there together with its key. */
    readonly tlsCert: string | undefined;
    readonly tlsKey: Secret | undefined;
    readonly commandTimeoutMs: number;
    readonly connectTimeoutMs: number;
    readonly maxValueBytes: number;
  };

  abstract readonly cache: {
    readonly capacity: number;
    readonly maxBytes: number;
    readonly maxValueBytes: number;
    readonly ttlMs: number;
    readonly negativeTtlMs: number;
    /** How long a value may be answered after its time, while Redis cannot be asked; 0: not at all. */
    readonly staleIfErrorMs: number;
    readonly respectKeyTtl: boolean;
    readonly coherence: (typeof COHERENCE_MODES)[number];
  };

  abstract readonly proxy: {
    readonly mode: (typeof PROXY_MODES)[number];
    /** 1 in sequential mode. */
    readonly threads: number;
    readonly maxConnections: number;
    readonly backlog: number;
    readonly maxConcurrentLoads: number;
    readonly maxQueuedLoads: number;
    /** A load waits no longer for its turn than Redis may take to answer it. */
    readonly queueTimeoutMs: number;
    readonly maxBufferedBytes: number;
  };

  abstract readonly access: {
    /** Empty: reads need none. */
    readonly tokens: readonly Secret[];
    /** Where they stand, and are looked up again while the proxy runs. */
    readonly tokenFile: string | undefined;
    /** As KEY_ALLOWLIST writes them. */
    readonly keyPatterns: string;
  };

  /** Empty: the admin API is off. */
  abstract readonly adminTokens: readonly Secret[];
  /** Where they stand, as above. */
  abstract readonly adminTokenFile: string | undefined;

  /** Whether private parts of Node.js and ioredis may be used. */
  abstract readonly nodeInternals: (typeof NODE_INTERNALS_MODES)[number];

  abstract readonly shutdownGraceMs: number;

  abstract readonly log: {
    readonly level: (typeof LOG_LEVELS)[number];
    readonly format: (typeof LOG_FORMATS)[number];
  };
}
