import {
  type Listener,
  READ_OUTCOMES,
  type ReadCounter,
  type ReadOutcomeName,
  type ReadMetrics,
  type Transport,
} from '../../instance/read-metrics.ts';

/**
 * Key reads of one transport whose responses are being written. They are counted once that has succeeded: a read whose
 * response could not be written is not one that was served. One for all connections of a thread, as each works in steps
 * that end with {@link commit} or {@link discard}.
 */
export class PendingReads implements ReadCounter {
  readonly #transport: Transport;
  readonly #listener: Listener;
  readonly #counts: ReadMetrics;
  /** Cache hits, apart from the other outcomes: this is all that a hit pays. */
  hits = 0;
  readonly #others = new Float64Array(READ_OUTCOMES.length);
  #hasOthers = false;

  constructor(transport: Transport, counts: ReadMetrics) {
    this.#transport = transport;
    this.#listener = transport === 'resp' ? 'resp' : 'http';
    this.#counts = counts;
  }

  countRead(_transport: Transport, outcome: ReadOutcomeName, times = 1): void {
    this.#others[READ_OUTCOMES.indexOf(outcome)] += times;
    this.#hasOthers = true;
  }

  /** Counts the reads: their responses were written. */
  commit(): void {
    if (this.hits > 0) this.#commitHits();
    this.hits = 0;
    if (!this.#hasOthers) return;
    READ_OUTCOMES.forEach((outcome, index) => {
      if (this.#others[index] > 0) this.#counts.countRead(this.#transport, outcome, this.#others[index]);
    });
    this.#clear();
  }

  /**
   * Drops the reads and counts them as response failures: an exception ended the connection.
   *
   * @param queued responses of the same connection that waited behind others.
   */
  discard(queued: number): void {
    const reads = this.#others.reduce((sum, times) => sum + times, this.hits);
    // At least the response that was being written.
    this.#counts.countFailure(this.#listener, Math.max(1, reads + queued));
    this.hits = 0;
    this.#clear();
  }

  /** Counts a response that could not be rendered, in whose place an error was sent. */
  countFailure(): void {
    this.#counts.countFailure(this.#listener);
  }

  #commitHits(): void {
    this.#counts.countRead(this.#transport, 'hit', this.hits);
    // Other commands are counted where they are executed.
    if (this.#transport === 'resp') this.#counts.countCommands(this.hits);
  }

  #clear(): void {
    this.#others.fill(0);
    this.#hasOthers = false;
  }
}
