import type { DashboardSnapshot } from '../dashboard-snapshot.ts';

/** A second without news is nothing: where requests wait for one another, each tick is a request. */
const SILENCE_MS = 4000;
const LOOK_MS = 1000;
const REOPEN_MS = 3000;

export interface LiveListeners {
  readonly onTick: (tick: DashboardSnapshot) => void;
  /** Told once a second. @param silentMs since the last tick; undefined before the first one. */
  readonly onPulse: (live: boolean, silentMs: number | undefined) => void;
}

/** The ticks of the proxy, as long as the page is open; it asks again and again for a stream that was lost. */
export class Live {
  readonly #listeners: LiveListeners;
  #lastTick: number | undefined;

  constructor(listeners: LiveListeners) {
    this.#listeners = listeners;
  }

  start(): void {
    this.#open();
    setInterval(() => this.#pulse(), LOOK_MS);
  }

  #open(): void {
    const source = new EventSource('dashboard/events');
    source.onmessage = ({ data }: MessageEvent<string>) => {
      this.#lastTick = performance.now();
      this.#listeners.onTick(JSON.parse(data) as DashboardSnapshot);
      this.#pulse();
    };
    // Browsers come back by themselves, but not after an answer that is no stream: a 503, or that of a gateway.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#open(), REOPEN_MS);
    };
  }

  #pulse(): void {
    const silentMs = this.#lastTick === undefined ? undefined : performance.now() - this.#lastTick;
    this.#listeners.onPulse(silentMs !== undefined && silentMs < SILENCE_MS, silentMs);
  }
}
