import type { DashboardSnapshot } from '../../dashboard-snapshot.ts';

/** Time without a snapshot after which the connection counts as lost: several intervals of a second, as one may be late. */
const LOST_AFTER_MS = 4000;
const CHECK_INTERVAL_MS = 1000;
const RECONNECT_MS = 3000;

export interface SnapshotListeners {
  readonly onSnapshot: (snapshot: DashboardSnapshot) => void;
  /** Called once a second. @param silentMs time since the last snapshot; undefined before the first one. */
  readonly onConnection: (live: boolean, silentMs: number | undefined) => void;
}

/** Receives the snapshots of the proxy, and reconnects when the stream is lost. */
export class SnapshotStream {
  readonly #listeners: SnapshotListeners;
  #lastSnapshotAt: number | undefined;

  constructor(listeners: SnapshotListeners) {
    this.#listeners = listeners;
  }

  start(): void {
    this.#open();
    setInterval(() => this.#reportConnection(), CHECK_INTERVAL_MS);
  }

  #open(): void {
    const source = new EventSource('dashboard/events');
    source.onmessage = ({ data }: MessageEvent<string>) => {
      this.#lastSnapshotAt = performance.now();
      this.#listeners.onSnapshot(JSON.parse(data) as DashboardSnapshot);
      this.#reportConnection();
    };
    // Browsers reconnect by themselves, except after a response that is not an event stream (a 503, or a gateway's).
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#open(), RECONNECT_MS);
    };
  }

  #reportConnection(): void {
    const silentMs = this.#lastSnapshotAt === undefined ? undefined : performance.now() - this.#lastSnapshotAt;
    this.#listeners.onConnection(silentMs !== undefined && silentMs < LOST_AFTER_MS, silentMs);
  }
}
