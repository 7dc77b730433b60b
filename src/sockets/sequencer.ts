/** Starts a request only when the one before it has been answered, whichever front it came over (PROXY_MODE=sequential). */
export class Sequencer {
  readonly #waiting: (() => void)[] = [];
  #busy = false;
  #serving = false;

  /** Takes the turn if nobody has it. Who has it must {@link leave}. */
  tryEnter(): boolean {
    if (this.#busy) return false;
    this.#busy = true;
    return true;
  }

  /** Waits for the turn; calls `start` when it has come, and it may be over before `start` returns. */
  wait(start: () => void): void {
    this.#waiting.push(start);
  }

  /** Ends the turn. */
  leave(): void {
    this.#busy = false;
    // Not one inside the other, however many are over at once.
    if (this.#serving) return;
    this.#serving = true;
    try {
      while (!this.#busy) {
        const start = this.#waiting.shift();
        if (start === undefined) break;
        this.#busy = true;
        start();
      }
    } finally {
      this.#serving = false;
    }
  }

  /** Calls `start` when the turn has come. It is over when `answered` says so, and skipped if it is so already. */
  admit(answered: Answered, start: () => void): void {
    const run = (): void => {
      if (answered.destroyed) return this.leave();
      answered.once('close', () => this.leave());
      start();
    };
    if (this.tryEnter()) run();
    else this.wait(run);
  }
}

/** An answer that is sent, or whose client has gone, when it is closed. */
interface Answered {
  readonly destroyed: boolean;
  once(event: 'close', listener: () => void): unknown;
}
