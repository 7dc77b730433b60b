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
    if ((await this.#gate.enter()) !== 'entered') return { kind: 'overloaded' };
    try {
      return await this.#store.expiry(key);
    } finally {
      this.#gate.leave();
    }
  }
}
