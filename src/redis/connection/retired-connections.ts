import type { RedisConnection } from './redis-connection.ts';

/** Connections that no read is sent to any more, which are closed once their pending commands have replies or time out. */
export class RetiredConnections {
  readonly #timeoutMs: number;
  readonly #timers = new Map<RedisConnection, NodeJS.Timeout>();

  /** @param timeoutMs milliseconds after which the last pending command has a reply or has failed. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  add(connection: RedisConnection): void {
    const timer = setTimeout(() => {
      this.#timers.delete(connection);
      connection.close();
    }, this.#timeoutMs);
    this.#timers.set(connection, timer);
  }

  /** Closes all of them now. */
  close(): void {
    for (const [connection, timer] of this.#timers) {
      clearTimeout(timer);
      connection.close();
    }
    this.#timers.clear();
  }
}
