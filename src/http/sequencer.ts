import type { ServerResponse } from 'node:http';

/** Starts a request only when the one before it has been answered, or its client has gone (PROXY_MODE=sequential). */
export class Sequencer {
  readonly #waiting: (() => void)[] = [];
  #busy = false;

  /** Calls `start` when it is this request's turn. */
  admit(response: ServerResponse, start: () => void): void {
    const run = (): void => {
      if (response.destroyed) return this.#next();
      response.once('close', () => this.#next());
      start();
    };
    if (this.#busy) {
      this.#waiting.push(run);
      return;
    }
    this.#busy = true;
    run();
  }

  #next(): void {
    const run = this.#waiting.shift();
    if (run === undefined) this.#busy = false;
    else run();
  }
}
