import type { LOG_FORMATS, LOG_LEVELS } from './environment.ts';
import type { Secret } from './secret.ts';

/** The settings of one instance: parsed once, frozen, injected wherever they are needed. */
export abstract class Settings {
  abstract readonly http: {
    readonly host: string;
    readonly port: number;
    readonly contentType: string;
  };

  abstract readonly redis: {
    readonly tls: boolean;
    readonly host: string;
    readonly port: number;
    readonly database: number;
    readonly username: string | undefined;
    readonly password: Secret | undefined;
    /** PEM text. */
    readonly tlsCa: string | undefined;
    readonly commandTimeoutMs: number;
    readonly connectTimeoutMs: number;
  };

  abstract readonly cache: {
    readonly capacity: number;
    readonly maxBytes: number;
    readonly maxValueBytes: number;
    readonly ttlMs: number;
    readonly negativeTtlMs: number;
    readonly honourRedisTtl: boolean;
  };

  /** Empty: the admin API is off. */
  abstract readonly adminTokens: readonly Secret[];

  abstract readonly shutdownGraceMs: number;

  abstract readonly log: {
    readonly level: (typeof LOG_LEVELS)[number];
    readonly format: (typeof LOG_FORMATS)[number];
  };
}
