import { Buffer } from 'node:buffer';
import type { SocketWriter } from './socket-writer.ts';
import { SubarrayCache } from './subarray-cache.ts';

const OUTPUT_BYTES = 64 * 1024;

/**
 * Output buffer shared by all connections of a thread: collects the responses to a chunk of requests, which are sent with
 * one write. A connection flushes it before another one uses it.
 */
export class OutputBuffer {
  bytes = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  #views = new SubarrayCache(this.bytes);
  /** Offset of the next response. */
  end = 0;

  hasRoom(bytes: number): boolean {
    return this.end + bytes <= OUTPUT_BYTES;
  }

  clear(): void {
    this.end = 0;
  }

  /** Sends the collected responses. */
  flush(writer: SocketWriter): void {
    if (this.end === 0) return;
    const sent = writer.write(this.#views.of(this.end));
    this.end = 0;
    // A pending write still reads from the buffer.
    if (sent) return;
    this.bytes = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
    this.#views = new SubarrayCache(this.bytes);
  }
}
