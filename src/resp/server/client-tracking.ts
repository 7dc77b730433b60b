import { keysOf } from '../../redis-commands/key-command-table.ts';

/** A command, as far as its keys are concerned. */
export interface TrackedCommand {
  readonly flags: readonly string[];
  readonly keys: Parameters<typeof keysOf>[0];
}

/** Options of CLIENT TRACKING. */
export interface TrackingOptions {
  /** Whether the client receives the invalidations of all keys with its prefixes, not only of those that it has read. */
  readonly broadcast: boolean;
  readonly optIn: boolean;
  readonly optOut: boolean;
  /** Has no effect: clients of the proxy do not write. */
  readonly noLoop: boolean;
}

/** Bits of the filter of a client; a power of two. Its memory is an eighth of it, 8 KiB. */
const FILTER_BITS = 65_536;
/** Limits of the prefixes of one client. */
const MAX_PREFIXES = 128;
const MAX_PREFIX_BYTES = 8 * 1024;
/** Limits of the keys that a client has read last. */
const MAX_RECENT_KEYS = 128;
const MAX_RECENT_BYTES = 8 * 1024;

/**
 * What a client tracks. Without BCAST that is the keys that it has read, in a filter of hashed keys: the more it reads, the more
 * it also receives invalidations of other keys, which the protocol permits.
 */
export class ClientTracking {
  options: TrackingOptions;
  /** Whether CLIENT CACHING applies to the next command or transaction. */
  caching = false;
  /** Sorted. */
  prefixes: readonly Buffer[] = [];
  readonly #isCurrent: () => boolean;
  #filter: Uint8Array | undefined;
  /** Keys that were read last, oldest first. */
  #recent: Buffer[] = [];
  #recentBytes = 0;
  #untracked: Buffer[] | undefined;

  /** @param isCurrent returns whether the proxy receives the invalidations of what is read now. */
  constructor(options: TrackingOptions, isCurrent: () => boolean) {
    this.options = options;
    this.#isCurrent = isCurrent;
  }

  /** Adds prefixes, none of which {@link prefixes} has; returns an error if they are too many. */
  addPrefixes(added: readonly Buffer[]): string | undefined {
    const prefixes = [...this.prefixes, ...added].sort((a, b) => Buffer.compare(a, b));
    if (prefixes.length > MAX_PREFIXES || prefixes.reduce((sum, { length }) => sum + length, 0) > MAX_PREFIX_BYTES) {
      return `ERR a client can track up to ${MAX_PREFIXES} prefixes of ${MAX_PREFIX_BYTES} bytes together`;
    }
    this.prefixes = prefixes;
    return undefined;
  }

  /** Notes that a command is about to be executed, which may read keys. */
  note({ flags, keys }: TrackedCommand, args: readonly Buffer[]): void {
    const { broadcast, optIn, optOut } = this.options;
    if (keys[0] === 0 || !flags.includes('readonly')) return;
    if (!broadcast && ((optIn && !this.caching) || (optOut && this.caching))) return;
    const read = keysOf(keys, args);
    if (!this.#isCurrent()) (this.#untracked ??= []).push(...read.map((key) => Buffer.from(key)));
    for (const key of read) this.#addRecent(key);
    if (broadcast) return;
    const filter = (this.#filter ??= new Uint8Array(FILTER_BITS / 8));
    for (const key of read) {
      const hash = hashOf(key);
      filter[hash >>> 3] |= 1 << (hash & 7);
    }
  }

  /** Returns the keys that were read since the last call whose invalidations the proxy may not receive; undefined if none. */
  takeUntracked(): readonly Buffer[] | undefined {
    const untracked = this.#untracked;
    this.#untracked = undefined;
    return untracked;
  }

  /** Returns the keys that were read last, since the previous call, within limits. */
  takeRecent(): readonly Buffer[] {
    const recent = this.#recent;
    this.#recent = [];
    this.#recentBytes = 0;
    return recent;
  }

  #addRecent(key: Buffer): void {
    if (key.length > MAX_RECENT_BYTES) return;
    this.#recent.push(Buffer.from(key));
    this.#recentBytes += key.length;
    while (this.#recent.length > MAX_RECENT_KEYS || this.#recentBytes > MAX_RECENT_BYTES) {
      this.#recentBytes -= this.#recent.shift()?.length ?? 0;
    }
  }

  /** Whether the client must be notified of a write to a key. @param hash of the key, as {@link hashOf} returns it. */
  tracks(key: Buffer, hash: number): boolean {
    if (!this.options.broadcast)
      return this.#filter !== undefined && (this.#filter[hash >>> 3] & (1 << (hash & 7))) !== 0;
    return this.prefixes.some((prefix) => startsWith(key, prefix));
  }

  /** Forgets the keys that the client has read: it was notified that any key may have been written. */
  forget(): void {
    this.#filter?.fill(0);
  }
}

export function startsWith(key: Buffer, prefix: Buffer): boolean {
  return prefix.length <= key.length && prefix.compare(key, 0, prefix.length) === 0;
}

/** Returns a hash of a key for {@link ClientTracking.tracks} (FNV-1a, folded to 16 bits). */
export function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of key) hash = Math.imul(hash ^ byte, 0x01000193);
  return ((hash >>> 16) ^ hash) & (FILTER_BITS - 1);
}
