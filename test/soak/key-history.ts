/** What a key was made: a version of its value, or absent. Versions of one key are numbered from 1. */
export interface Write {
  /** Undefined: the key was removed. */
  readonly version: number | undefined;
  /** Milliseconds after which Redis forgets the value; Infinity: never. */
  readonly expiresAfterMs: number;
  readonly sentAt: number;
  /** When Redis had answered; Infinity: not yet, or never, so that it may or may not have been carried out. */
  acknowledgedAt: number;
}

/**
 * The writes of one key by one writer, each begun after the one before it had ended. Times are milliseconds of one
 * monotonic clock. A write took effect at some moment between its being sent and its being acknowledged, so its value may
 * have been the true one from when it was sent to when the next one was acknowledged.
 */
export class KeyHistory {
  #writes: Write[] = [{ version: undefined, expiresAfterMs: Infinity, sentAt: 0, acknowledgedAt: 0 }];

  begin(version: number | undefined, now: number, expiresAfterMs = Infinity): Write {
    const write: Write = { version, expiresAfterMs, sentAt: now, acknowledgedAt: Infinity };
    this.#writes.push(write);
    return write;
  }

  /**
   * By how many milliseconds an answer was late: how long before `askedAt` it had last been the truth; 0 if it may have
   * been the truth until it was given. Undefined: it was not the truth before `answeredAt` at all, or is forgotten.
   *
   * @param version what was answered; undefined: that there is no such key.
   */
  lateness(version: number | undefined, askedAt: number, answeredAt: number): number | undefined {
    let least: number | undefined;
    let end = Infinity;
    for (let i = this.#writes.length - 1; i >= 0; i--) {
      const write = this.#writes[i];
      const span = spanOf(write, version, end);
      if (span !== undefined && span.from <= answeredAt) {
        const late = Math.max(0, askedAt - span.to);
        least = Math.min(least ?? Infinity, late);
      }
      end = Math.min(end, write.acknowledgedAt);
    }
    return least;
  }

  /** Forgets what was over before `time`. */
  forgetBefore(time: number): void {
    const over = this.#writes.findLastIndex(({ acknowledgedAt }) => acknowledgedAt < time);
    if (over > 0) this.#writes = this.#writes.slice(over);
  }
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** When a write may have had it that the key's value is `version`. */
function spanOf(write: Write, version: number | undefined, end: number): Span | undefined {
  const { sentAt, acknowledgedAt, expiresAfterMs } = write;
  if (write.version === version) return { from: sentAt, to: Math.min(end, acknowledgedAt + expiresAfterMs) };
  if (version === undefined && sentAt + expiresAfterMs < end) return { from: sentAt + expiresAfterMs, to: end };
  return undefined;
}
