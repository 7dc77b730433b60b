/** A write of a key: a new version of its value, numbered from 1, or its removal. */
export interface Write {
  /** Undefined: the key was removed. */
  readonly version: number | undefined;
  /** TTL of the value in milliseconds; Infinity: none. */
  readonly expiresAfterMs: number;
  readonly sentAt: number;
  /** When Redis replied; Infinity: not yet, or never, so that the write may or may not have been executed. */
  acknowledgedAt: number;
}

/**
 * The writes of one key by one writer, each started after the previous one had ended. Times are milliseconds of one
 * monotonic clock. A write took effect at some moment between its sending and its acknowledgement, so its value may have
 * been current from when it was sent until the next write was acknowledged.
 */
export class KeyHistory {
  #writes: Write[] = [{ version: undefined, expiresAfterMs: Infinity, sentAt: 0, acknowledgedAt: 0 }];

  begin(version: number | undefined, now: number, expiresAfterMs = Infinity): Write {
    const write: Write = { version, expiresAfterMs, sentAt: now, acknowledgedAt: Infinity };
    this.#writes.push(write);
    return write;
  }

  /**
   * Returns the lateness of a response: for how many milliseconds its value had not been current any more at `requestedAt`,
   * at least; 0 if it may have been current after that. Undefined if it was never current before `respondedAt`, or its
   * write has been forgotten.
   *
   * @param version the version in the response; undefined: the key does not exist.
   */
  lateness(version: number | undefined, requestedAt: number, respondedAt: number): number | undefined {
    let least: number | undefined;
    let end = Infinity;
    for (let i = this.#writes.length - 1; i >= 0; i--) {
      const write = this.#writes[i];
      const span = spanOf(write, version, end);
      if (span !== undefined && span.from <= respondedAt) {
        const late = Math.max(0, requestedAt - span.to);
        least = Math.min(least ?? Infinity, late);
      }
      end = Math.min(end, write.acknowledgedAt);
    }
    return least;
  }

  /** Forgets writes that were replaced before `time`. */
  forgetBefore(time: number): void {
    const first = this.#writes.findLastIndex(({ acknowledgedAt }) => acknowledgedAt < time);
    if (first > 0) this.#writes = this.#writes.slice(first);
  }
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Returns the span during which `version` may have been current as the result of a write. */
function spanOf(write: Write, version: number | undefined, end: number): Span | undefined {
  const { sentAt, acknowledgedAt, expiresAfterMs } = write;
  if (write.version === version) return { from: sentAt, to: Math.min(end, acknowledgedAt + expiresAfterMs) };
  if (version === undefined && sentAt + expiresAfterMs < end) return { from: sentAt + expiresAfterMs, to: end };
  return undefined;
}
