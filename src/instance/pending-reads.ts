import {
  type Listener,
  READ_OUTCOMES,
  type ReadCounter,
  type ReadOutcomeName,
  type ReadMetrics,
  type Transport,
} from './read-metrics.ts';

/**
 * Key reads of one transport whose responses are being written. They are counted just before their bytes are handed to a
 * socket, so that a client that has its response finds it counted by any thread. A read whose response could not be written
 * is not one that was served: its count is taken back. One for all connections of a thread, as each works in steps that end
 * with {@link commit} or {@link discard}.
 */
export class PendingReads implements ReadCounter {
  readonly #transport: Transport;
  readonly #listener: Listener;
  readonly #counts: ReadMetrics;
  /**
   * Plain hits that are not counted yet: those of the HTTP fast path, and GETs that were matched in place. Each costs one
   * increment.
   */
  hits = 0;
  /** Other reads that are not counted yet, by outcome. */
  readonly #others = new Float64Array(READ_OUTCOMES.length);
  #hasOthers = false;
  /** The {@link hits} that this step has counted. */
  #publishedHits = 0;
  /** Other reads that this step has counted, by outcome. */
  readonly #published = new Float64Array(READ_OUTCOMES.length);
  #hasPublished = false;

  constructor(transport: Transport, counts: ReadMetrics) {
    this.#transport = transport;
    this.#listener = transport === 'resp' ? 'resp' : 'http';
    this.#counts = counts;
  }

  countRead(_transport: Transport, outcome: ReadOutcomeName, times = 1): void {
    this.#others[READ_OUTCOMES.indexOf(outcome)] += times;
    this.#hasOthers = true;
  }

  /** Counts the reads so far. Call it after their responses were rendered, and before they are written. */
  publish(): void {
    if (this.hits > 0) {
      this.#countHits(this.hits);
      this.#publishedHits += this.hits;
      this.hits = 0;
    }
    if (!this.#hasOthers) return;
    READ_OUTCOMES.forEach((outcome, index) => {
      const times = this.#others[index];
      if (times > 0) this.#counts.countRead(this.#transport, outcome, times);
      this.#published[index] += times;
    });
    this.#hasPublished = true;
    this.#clear();
  }

  /** Ends a step whose responses were written; counts what {@link publish} has not. */
  commit(): void {
    this.publish();
    this.#forget();
  }

  /**
   * Drops the reads of a step and counts them as response failures: an exception ended the connection. These include the
   * reads that have ended in the same tick for other connections, whose responses are written at the end of the tick.
   *
   * @param queued responses of the same connection that waited behind others.
   */
  discard(queued: number): void {
    // At least the response that was being written.
    this.#counts.countFailure(this.#listener, Math.max(1, this.#takeBack() + queued));
  }

  /** Counts a response that could not be rendered, in whose place an error was sent. */
  countFailure(): void {
    this.#counts.countFailure(this.#listener);
  }

  /** Drops the reads of a step, subtracts the published ones from the counts, and returns the number of both. */
  #takeBack(): number {
    const pending = this.#others.reduce((sum, times) => sum + times, this.hits);
    const published = this.#published.reduce((sum, times) => sum + times, this.#publishedHits);
    if (this.#publishedHits > 0) this.#countHits(-this.#publishedHits);
    if (this.#hasPublished) {
      READ_OUTCOMES.forEach((outcome, index) => {
        const times = this.#published[index];
        if (times > 0) this.#counts.countRead(this.#transport, outcome, -times);
      });
    }
    this.hits = 0;
    this.#clear();
    this.#forget();
    return pending + published;
  }

  #countHits(times: number): void {
    this.#counts.countRead(this.#transport, 'hit', times);
    // Other commands are counted where they are executed.
    if (this.#transport === 'resp') this.#counts.countCommands(times);
  }

  #clear(): void {
    this.#others.fill(0);
    this.#hasOthers = false;
  }

  #forget(): void {
    this.#publishedHits = 0;
    if (!this.#hasPublished) return;
    this.#published.fill(0);
    this.#hasPublished = false;
  }
}
