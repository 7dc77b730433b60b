import type { Writable } from 'node:stream';

/** Ticks that a listener may leave unread in a row before it is cut off. */
const MOST_UNREAD = 10;
/** Milliseconds after which a browser whose stream has ended asks for another one. */
const RETRY_MS = 1000;

/** What an event stream needs of the answer that it is sent in. */
export type Listener = Pick<
  Writable,
  'write' | 'end' | 'destroy' | 'destroyed' | 'once' | 'writableEnded' | 'writableLength'
>;

export interface EventStreamOptions {
  /** Makes the event, once for all listeners: text without a line break. */
  readonly read: () => string;
  /** Listeners at the same time. */
  readonly most: number;
  /** Calls again and again, until what it returns is called. */
  readonly every: (call: () => void) => () => void;
}

/**
 * Tells any number of listeners, up to a bound, the same events (WHATWG HTML, "Server-sent events"). Nothing is read or
 * timed while nobody listens. Who does not take an event is not sent the next one, so it takes no memory.
 */
export class EventStream {
  readonly #options: EventStreamOptions;
  /** With the number of ticks that each has left unread. */
  readonly #listeners = new Map<Listener, number>();
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  get full(): boolean {
    return this.#listeners.size >= this.#options.most;
  }

  /** Tells one event, and goes on to tell one each time until the listener is gone. */
  open(listener: Listener): void {
    if (listener.destroyed) return;
    // A browser whose stream has just ended may come back over another connection before that ends too.
    if (this.#closed) return this.once(listener);
    listener.write(`retry: ${RETRY_MS}\n\n${this.#event()}`);
    this.#listeners.set(listener, 0);
    listener.once('close', () => this.#forget(listener));
    this.#stop ??= this.#options.every(() => this.#tick());
  }

  /** Tells one event and ends: the browser asks again for the next one. */
  once(listener: Listener): void {
    listener.end(`retry: ${RETRY_MS}\n\n${this.#event()}`);
  }

  /** Ends the stream of each listener; none lasts from now on. */
  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners.keys()) {
      listener.end();
      this.#forget(listener);
    }
  }

  #tick(): void {
    const event = this.#event();
    for (const [listener, unread] of this.#listeners) {
      if (listener.writableLength === 0) {
        listener.write(event);
        this.#listeners.set(listener, 0);
      } else if (unread >= MOST_UNREAD) listener.destroy();
      else this.#listeners.set(listener, unread + 1);
    }
  }

  #event(): string {
    return `data: ${this.#options.read()}\n\n`;
  }

  #forget(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }
}
