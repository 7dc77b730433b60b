import type { Writable } from 'node:stream';

/** Consecutive events that a subscriber may leave unread before its connection is destroyed. */
const MAX_SKIPPED = 10;
/** Milliseconds after which a browser reconnects when its stream has ended. */
const RETRY_MS = 1000;

/** The response that the event stream of one client is written to. */
export type Subscriber = Pick<
  Writable,
  'write' | 'end' | 'destroy' | 'destroyed' | 'once' | 'writableEnded' | 'writableLength'
>;

export interface EventStreamOptions {
  /** Returns the data of the next event: text without line breaks. Called once for all subscribers. */
  readonly read: () => string;
  /** Maximum number of concurrent subscribers. */
  readonly maxSubscribers: number;
  /** Calls `call` repeatedly until the returned function is called. */
  readonly schedule: (call: () => void) => () => void;
}

/**
 * Sends the same events to a limited number of subscribers (WHATWG HTML, "Server-sent events"). Nothing is read and no
 * timer runs without subscribers. A subscriber that has not read the last event is not sent the next one, so that slow
 * clients do not accumulate memory.
 */
export class EventStream {
  readonly #options: EventStreamOptions;
  /** Subscribers, with the number of consecutive events that were skipped because they did not read. */
  readonly #subscribers = new Map<Subscriber, number>();
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  get subscribers(): number {
    return this.#subscribers.size;
  }

  get isFull(): boolean {
    return this.#subscribers.size >= this.#options.maxSubscribers;
  }

  /** Sends an event now, and one at each interval until the subscriber closes. */
  subscribe(subscriber: Subscriber): void {
    if (subscriber.destroyed) return;
    // A browser whose stream has just ended may reconnect over a keep-alive connection that is still open.
    if (this.#closed) return this.sendOnce(subscriber);
    subscriber.write(`retry: ${RETRY_MS}\n\n${this.#event()}`);
    this.#subscribers.set(subscriber, 0);
    subscriber.once('close', () => this.#remove(subscriber));
    this.#stop ??= this.#options.schedule(() => this.#publish());
  }

  /** Sends one event and ends the response; the browser reconnects for the next one. */
  sendOnce(subscriber: Subscriber): void {
    subscriber.end(`retry: ${RETRY_MS}\n\n${this.#event()}`);
  }

  /** Ends all streams. Later subscribers get a single event. */
  close(): void {
    this.#closed = true;
    for (const subscriber of this.#subscribers.keys()) {
      subscriber.end();
      this.#remove(subscriber);
    }
  }

  #publish(): void {
    const event = this.#event();
    for (const [subscriber, skipped] of this.#subscribers) {
      if (subscriber.writableLength === 0) {
        subscriber.write(event);
        this.#subscribers.set(subscriber, 0);
      } else if (skipped >= MAX_SKIPPED) subscriber.destroy();
      else this.#subscribers.set(subscriber, skipped + 1);
    }
  }

  #event(): string {
    return `data: ${this.#options.read()}\n\n`;
  }

  #remove(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    if (this.#subscribers.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}
