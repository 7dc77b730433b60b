import type { Redirect } from './cluster/redirect.ts';

/** Result of a Redis read. Failures are results as well; exceptions are bugs. */
export type RedisReply =
  | {
      readonly kind: 'value';
      /** The value of the key; for a query other than GET, the reply, encoded in RESP2. */
      readonly value: Buffer;
      /** TTL of the key in milliseconds; undefined if it has none or PTTL was not sent. */
      readonly ttlMs: number | undefined;
    }
  /**
   * The key does not exist; `ttlMs`: maximum milliseconds to cache that, undefined if unlimited; `reply`: what Redis replied to
   * a query other than GET, encoded in RESP2.
   */
  | { readonly kind: 'missing'; readonly ttlMs?: number; readonly reply?: Buffer }
  /** Redis rejected a query other than GET: `message` is its error, without the `-`. */
  | { readonly kind: 'error-reply'; readonly message: string }
  /** GET only: the value stored at this key is not a string. */
  | { readonly kind: 'wrong-type' }
  | TooLarge
  | BufferFull
  /** No reply within REDIS_COMMAND_TIMEOUT_MS. */
  | { readonly kind: 'timeout' }
  /** No connection, or an error reply; `reason` is the error code, `connection` or `circuit`. */
  | {
      readonly kind: 'unavailable';
      readonly reason: string;
      /** Whether an error reply concerns every command (e.g. LOADING) or this one; undefined without a reply. */
      readonly scope?: 'server' | 'command';
      /** The missing permission to read any key, in the syntax of ACL SETUSER: `+pttl`. */
      readonly missingPermission?: string;
      /** The redirect that a cluster node replied with. */
      readonly redirect?: Redirect;
    };

/** The value exceeds REDIS_MAX_VALUE_BYTES. */
export const TOO_LARGE = { kind: 'value-too-large' } as const;
export type TooLarge = typeof TOO_LARGE;

/** A value of `bytes` bytes was discarded because it did not fit in the buffered-bytes limit. */
export class BufferFull {
  readonly kind = 'buffer-full';
  readonly bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }
}

/** Whether Redis reads currently succeed, for keys in general. */
export type RedisCheck = { readonly kind: 'ok' } | RedisFailure;

/** Result of a query for the TTL of a key. */
export type RedisTtl =
  | { readonly kind: 'expires'; readonly ms: number }
  /** The key exists and has no TTL. */
  | { readonly kind: 'persistent' }
  | { readonly kind: 'missing' }
  | RedisFailure;

/** Result of a query for the type of a key's value. */
export type RedisType =
  /** `type`: as Redis names it, for example `string`. */
  { readonly kind: 'type'; readonly type: string } | { readonly kind: 'missing' } | RedisFailure;

export type RedisFailure = Extract<RedisReply, { kind: 'timeout' | 'unavailable' }>;

export function isFailure(outcome: { readonly kind: string }): outcome is RedisFailure {
  return outcome.kind === 'timeout' || outcome.kind === 'unavailable';
}
