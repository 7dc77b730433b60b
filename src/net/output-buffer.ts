import { Buffer } from 'node:buffer';
import type { SocketWriter } from './socket-writer.ts';
import { SubarrayCache } from './subarray-cache.ts';

const OUTPUT_BYTES = 64 * 1024;

/**
 * Memory in which answers are put together, all of a turn behind each other, so that they leave in one write. One for
 * all connections of a thread, as each is flushed before the next one's turn.
 */
export class OutputBuffer {
  bytes = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  #views = new SubarrayCache(this.bytes);
  /** Where the next answer starts. */
  end = 0;

  hasRoom(bytes: number): boolean {
    return this.end + bytes <= OUTPUT_BYTES;
  }

  clear(): void {
    this.end = 0;
  }

  /** Sends what there is. */
  flush(outlet: SocketWriter): void {
    if (this.end === 0) return;
    const taken = outlet.write(this.#views.of(this.end));
    this.end = 0;
    // What the kernel has not taken at once is still read from here.
    if (taken) return;
    this.bytes = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
    this.#views = new SubarrayCache(this.bytes);
  }
}
