import type { Redirect } from './cluster/redirect.ts';

/** How a read of the Redis ended. Never an exception: those are for bugs. */
export type RedisReply =
  | {
      readonly kind: 'value';
      readonly value: Buffer;
      /** Milliseconds to the key's own expiry in Redis; undefined when it has none, or nobody asked. */
      readonly ttlMs: number | undefined;
    }
  /** The key does not exist; `ttlMs`: milliseconds for which that may be held, undefined when nothing speaks against it. */
  | { readonly kind: 'missing'; readonly ttlMs?: number }
  /** The value stored at this key is not a string. */
  | { readonly kind: 'wrong-type' }
  | TooLarge
  | NoRoom
  /** No answer in time. */
  | { readonly kind: 'timeout' }
  /** No connection, or an answer that is an error; `reason` is the error's code word, or `connection`. */
  | {
      readonly kind: 'unavailable';
      readonly reason: string;
      /** What an answer that is an error is about: any read now, as while Redis is loading, or this one. */
      readonly refusal?: 'any' | 'this';
      /** The right that the account lacks to read any key, as ACL SETUSER takes it: `+pttl`. */
      readonly missingRight?: string;
      /** Where else the key is, when a node of a cluster has said so. */
      readonly redirect?: Redirect;
    };

/** The value is longer than what is read. */
export const TOO_LARGE = { kind: 'value-too-large' } as const;
export type TooLarge = typeof TOO_LARGE;

/** There is a value of so many bytes, which was dropped as it came: there was no room for it. */
export class NoRoom {
  readonly kind = 'no-room';
  readonly bytes: number;

  constructor(bytes: number) {
    this.bytes = bytes;
  }
}

/** Whether reads of the Redis succeed now, whatever the key. */
export type RedisCheck = { readonly kind: 'ok' } | RedisFailure;

/** How asking for a key's time to live ended. */
export type RedisExpiry =
  | { readonly kind: 'expires'; readonly ms: number }
  /** The key exists, and does not expire. */
  | { readonly kind: 'endless' }
  | { readonly kind: 'missing' }
  | RedisFailure;

/** How a query for the type of a key's value ended. */
export type RedisType =
  /** `type`: as Redis names it, for example `string`. */
  { readonly kind: 'type'; readonly type: string } | { readonly kind: 'missing' } | RedisFailure;

export type RedisFailure = Extract<RedisReply, { kind: 'timeout' | 'unavailable' }>;
