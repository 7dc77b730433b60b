import { TURN_WRITE_TIMEOUT_MS } from './time-limits.ts';

/**
 * Gives requests their turn, one after the other, whichever transport they came over (PROXY_MODE=sequential). A turn is
 * over when the response has been handed to the kernel, or {@link TURN_WRITE_TIMEOUT_MS} after it was rendered: a client
 * that does not read must not stop the others.
 */
export class Mutex {
  readonly #waiting: (() => void)[] = [];
  #busy = false;
  #serving = false;

  /** Takes the turn if it is free. Its holder must {@link leave}. */
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

  /** Calls `start` when the turn has come, and ends it with the response. Skips a response that is closed by then. */
  admit(response: Rendered, start: () => void): void {
    const run = (): void => {
      if (response.destroyed) return this.leave();
      this.#leaveWith(response);
      start();
    };
    if (this.tryEnter()) run();
    else this.wait(run);
  }

  #leaveWith(response: Rendered): void {
    let timer: NodeJS.Timeout | undefined;
    let over = false;
    const leave = (): void => {
      clearTimeout(timer);
      if (over) return;
      over = true;
      this.leave();
    };
    response.once('close', leave);
    response.once('prefinish', () => (timer = setTimeout(leave, TURN_WRITE_TIMEOUT_MS)));
  }
}

/** A response that is rendered whole at `prefinish`, and sent at `close`, unless its client has gone. */
interface Rendered {
  readonly destroyed: boolean;
  once(event: 'close' | 'prefinish', listener: () => void): unknown;
}
