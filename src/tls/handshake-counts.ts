import { type InstanceMemory, RowCount, TLS_LISTENERS, type TlsListener } from '../instance/instance-memory.ts';

export const HANDSHAKE_FAILURES = ['client-certificate', 'timeout', 'closed', 'plain-text', 'protocol'] as const;
/**
 * Why a handshake has failed. `client-certificate`: the client has presented none, or an invalid one; `closed`: the client has
 * closed the connection, as TCP health checks do; `plain-text`: the client does not use TLS; `protocol`: anything else.
 */
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number];

/** Counts the failed TLS handshakes of one thread. Any thread can read their sums. */
export class HandshakeCounts {
  readonly #memory: InstanceMemory;
  readonly #own: Float64Array;

  constructor(memory: InstanceMemory, thread: number) {
    this.#memory = memory;
    this.#own = memory.countsOf(thread);
  }

  count(listener: TlsListener, failure: HandshakeFailure): void {
    this.#own[indexOf(listener, failure)]++;
  }

  /** Returns the number of handshakes that have failed in all threads. */
  failures(listener: TlsListener, failure: HandshakeFailure): number {
    return this.#memory.total(indexOf(listener, failure));
  }
}

function indexOf(listener: TlsListener, failure: HandshakeFailure): number {
  const place = TLS_LISTENERS.indexOf(listener) * HANDSHAKE_FAILURES.length + HANDSHAKE_FAILURES.indexOf(failure);
  return RowCount.TLS_HANDSHAKES + place;
}
