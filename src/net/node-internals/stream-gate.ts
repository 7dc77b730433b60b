import type { Socket } from 'node:net';

type Callback = (error?: Error | null) => void;

/** The methods that a stream calls, one at a time, to write to its socket and to end it. */
interface StreamMethods {
  _write: (this: StreamMethods, chunk: unknown, encoding: BufferEncoding, callback: Callback) => void;
  _writev: (this: StreamMethods, chunks: unknown, callback: Callback) => void;
  _final: (this: StreamMethods, callback: Callback) => void;
}

/**
 * Makes the stream of a TLS socket and direct writes to its handle wait for each other: the handle accepts one write at a time,
 * and ends the process if there is a second one. Whoever uses the stream need not know of the direct writes.
 */
export class StreamGate {
  /** Whether a direct write is pending. */
  #isClosed = false;
  /** Whether the stream has a write in flight, which may be an empty one. */
  #isBusy = false;
  /** What the stream does when the direct write has ended; a stream does one thing at a time. */
  #waiting: (() => void) | undefined;

  constructor(socket: Socket) {
    const stream = socket as unknown as StreamMethods;
    const { _write: write, _writev: writev, _final: final } = stream;
    const whenDone = (callback: Callback): Callback => {
      this.#isBusy = true;
      return (error) => {
        this.#isBusy = false;
        callback(error);
      };
    };
    stream._write = (chunk, encoding, callback) =>
      this.#whenOpen(() => write.call(stream, chunk, encoding, whenDone(callback)));
    stream._writev = (chunks, callback) => this.#whenOpen(() => writev.call(stream, chunks, whenDone(callback)));
    stream._final = (callback) => this.#whenOpen(() => final.call(stream, callback));
  }

  /** Whether the handle accepts a direct write. */
  get acceptsDirectWrite(): boolean {
    return !this.#isClosed && !this.#isBusy;
  }

  /** Makes the stream wait: a direct write is pending. */
  close(): void {
    this.#isClosed = true;
  }

  /** Lets the stream go on. */
  open(): void {
    this.#isClosed = false;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  #whenOpen(act: () => void): void {
    if (this.#isClosed) this.#waiting = act;
    else act();
  }
}
