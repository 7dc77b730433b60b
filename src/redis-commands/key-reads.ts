import { Buffer } from 'node:buffer';
import { type Access, MAX_KEY_BYTES } from '../access/access.ts';
import { type TtlOutcome, ttlOutcomeName } from '../cache/read-through/key-queries.ts';
import { type ReadOutcome, outcomeName } from '../cache/read-through/read-outcome.ts';
import type { ReadCounter, Transport } from '../instance/read-metrics.ts';
import type { ReadResult } from './key-replies.ts';

const KEY_TOO_LONG = `ERR key exceeds ${MAX_KEY_BYTES} bytes`;
const KEY_NOT_ALLOWED = 'NOPERM No permissions to access a key';

/** Checks whether the clients of a transport may read keys, and counts the outcomes of their reads. */
export class KeyReads {
  readonly #transport: Transport;
  readonly #access: Access;
  readonly #counts: ReadCounter;

  constructor(transport: Transport, access: Access, counts: ReadCounter) {
    this.#transport = transport;
    this.#access = access;
    this.#counts = counts;
  }

  /** Returns an error, and counts it, if one of the keys is too long or clients may not read it; otherwise undefined. */
  checkKeys(keys: readonly Buffer[]): string | undefined {
    if (keys.some((key) => key.length > MAX_KEY_BYTES)) {
      this.#counts.countRead(this.#transport, 'bad-key');
      return KEY_TOO_LONG;
    }
    if (!keys.every((key) => this.#access.allowsKey(key))) {
      this.#counts.countRead(this.#transport, 'not-allowed');
      return KEY_NOT_ALLOWED;
    }
    return undefined;
  }

  countHit(): void {
    this.#counts.countRead(this.#transport, 'hit');
  }

  /** Counts an outcome, and returns it as commands see it. */
  record(outcome: ReadOutcome): ReadResult {
    this.#counts.countRead(this.#transport, outcomeName(outcome));
    return KeyReads.toResult(outcome);
  }

  /** Converts an outcome for commands, without counting it. */
  static toResult(outcome: ReadOutcome): ReadResult {
    switch (outcome.kind) {
      case 'hit':
      case 'stale':
      case 'revalidating':
      case 'value':
        return { value: outcome.value };
      case 'missing':
      case 'absent':
        return undefined;
      case 'wrong-type':
      case 'value-too-large':
      case 'timeout':
      case 'unavailable':
      case 'overloaded':
        return { failure: outcome.kind };
      case 'error-reply':
        return { error: Buffer.from(outcome.message).toString('latin1') };
    }
  }

  /** Counts the read of a TTL. These are never cached, so a successful one counts as a miss. */
  countTtl(outcome: TtlOutcome): void {
    this.#counts.countRead(this.#transport, ttlOutcomeName(outcome));
  }
}
