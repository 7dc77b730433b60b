import type { Access } from '../access/access.ts';
import { MAX_KEY_BYTES } from '../access/key-length.ts';
import type { ExpiryOutcome, TypeOutcome } from '../cache/read-through/key-queries.ts';
import { type ReadOutcome, outcomeName } from '../cache/read-through/read-outcome.ts';
import type { ReadCounter, ReadOutcomeName, Transport } from '../instance/read-metrics.ts';
import type { Read } from './key-replies.ts';

const KEY_TOO_LONG = `ERR a key may have ${MAX_KEY_BYTES} bytes`;
const KEY_NOT_ALLOWED = 'NOPERM No permissions to access a key';

/** Which keys the clients of a transport may read, and what has come of it; counts both. */
export class KeyReads {
  readonly #transport: Transport;
  readonly #access: Access;
  readonly #counts: ReadCounter;

  constructor(transport: Transport, access: Access, counts: ReadCounter) {
    this.#transport = transport;
    this.#access = access;
    this.#counts = counts;
  }

  /** What is wrong with keys of which one is too long, or must not be read; undefined: nothing is. */
  refuse(keys: readonly Buffer[]): string | undefined {
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

  hit(): void {
    this.#counts.countRead(this.#transport, 'hit');
  }

  /** What a command sees of an outcome. */
  read(outcome: ReadOutcome): Read {
    this.#counts.countRead(this.#transport, outcomeName(outcome));
    return KeyReads.readAgain(outcome);
  }

  /** The same of a read that has been counted. */
  static readAgain(outcome: ReadOutcome): Read {
    switch (outcome.kind) {
      case 'hit':
      case 'stale':
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
    }
  }

  /** Counts a query for a time to live or a type: these are never cached, so a reply counts as a miss. */
  query(outcome: ExpiryOutcome | TypeOutcome): void {
    this.#counts.countRead(this.#transport, queryName(outcome));
  }
}

function queryName({ kind }: ExpiryOutcome | TypeOutcome): ReadOutcomeName {
  switch (kind) {
    case 'expires':
    case 'endless':
    case 'type':
      return 'miss';
    case 'missing':
      return 'not-found';
    case 'timeout':
    case 'unavailable':
    case 'overloaded':
      return kind;
  }
}
