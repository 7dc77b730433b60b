import type { RedisExpiry } from '../redis/redis-reply.ts';
import type { LoadGate } from './load-gate.ts';

/** Where a key's time to live is asked for. */
export interface ExpiryStore {
  expiry(key: Buffer): Promise<RedisExpiry>;
}

export type ExpiryOutcome =
  | RedisExpiry
  /** Too many reads wait already, or this one has waited too long for its turn. */
  | { readonly kind: 'overloaded' };

/** Asks Redis how long keys live: the cache knows only how long it may hold them. Passes the gate as loads do. */
export class KeyExpiry {
  readonly #store: ExpiryStore;
  readonly #gate: LoadGate;

  constructor(store: ExpiryStore, gate: LoadGate) {
    this.#store = store;
    this.#gate = gate;
  }

  async of(key: Buffer): Promise<ExpiryOutcome> {
    return (await this.ofAll([key]))[0];
  }

  /** One outcome per key, in order. They are one round trip, and one place at the gate. */
  async ofAll(keys: readonly Buffer[]): Promise<readonly ExpiryOutcome[]> {
    if ((await this.#gate.enter()) !== 'entered') return keys.map(() => ({ kind: 'overloaded' }));
    try {
      return await Promise.all(keys.map((key) => this.#store.expiry(key)));
    } finally {
      this.#gate.leave();
    }
  }
}
