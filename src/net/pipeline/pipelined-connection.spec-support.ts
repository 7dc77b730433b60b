import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { SharedReadBuffer } from '../shared-read-buffer.ts';
import type { SocketWriter } from '../socket-writer.ts';
import { Budget } from './budget.spec-support.ts';
import type { Place } from './ordered-replies.ts';
import { PipelinedConnection, type PipelineProtocol } from './pipelined-connection.ts';

export const LIMITS = { requestTimeoutMs: 5000, stallTimeoutMs: 7000 };

/** Waits until promises, ticks and events in memory have been processed. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A socket in memory, whose client reads only while {@link isReading}. */
export class FakeSocket extends Duplex {
  isReading = true;
  /** Text that the client has read, and its number of lines. */
  received = '';
  lines = 0;
  /** The time limit in milliseconds; 0: none. */
  timeoutMs = 0;
  #unread: { bytes: Buffer; done: () => void }[] = [];

  setTimeout(ms: number): this {
    this.timeoutMs = ms;
    return this;
  }

  /** Lets the client read everything that was written. */
  readAll(): void {
    this.isReading = true;
    for (const { bytes, done } of this.#unread.splice(0)) {
      const text = bytes.toString('latin1');
      this.received += text;
      this.lines += text.split('\n').length - 1;
      done();
    }
  }

  override _read(): void {
    // Bytes are pushed.
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.#unread.push({ bytes, done });
    if (this.isReading) this.readAll();
  }
}

/** Replies that are sent with one write. */
class TextOutput {
  text = '';

  flush(writer: SocketWriter): void {
    if (this.text !== '') writer.write(Buffer.from(this.text, 'latin1'));
    this.text = '';
  }

  clear(): void {
    this.text = '';
  }
}

/** A read in flight, with the request it is for. */
export interface TestRead {
  readonly request: number;
  readonly end: (reply: string) => void;
  readonly fail: (bug: Error) => void;
}

/**
 * A protocol of lines. `now 10` has a reply of 10 bytes at once, `read 10` after its read has ended, `fault` throws, `quit 10`
 * ends the connection. A second number is the size of the memory that the reply refers to until it is sent. Replies are named
 * after their requests, which are numbered.
 */
export class LineProtocol implements PipelineProtocol<string> {
  readonly socket = new FakeSocket();
  readonly memory = new Budget(1e9);
  readonly bugs: unknown[] = [];
  readonly output = new TextOutput();
  /** Requests that were executed, replies that were published, and requests that have failed. */
  requests = 0;
  published = 0;
  failed = 0;
  closed = 0;
  readonly reads: TestRead[] = [];
  isBlocked = false;
  inRequest = false;
  readonly connection: PipelinedConnection<string>;
  #replied = 0;

  constructor() {
    const pending = {
      publish: () => void (this.published = this.#replied),
      commit: () => undefined,
      discard: (queued: number) => void (this.failed += Math.max(1, queued)),
      countFailure: () => void this.failed++,
    };
    const { memory, output } = this;
    const report = (bug: unknown): void => void this.bugs.push(bug);
    const context = { ...LIMITS, memory, reads: new SharedReadBuffer(), output, pending, report };
    this.connection = new PipelinedConnection(this.socket as unknown as Socket, context, this);
  }

  /** Bytes of the memory that replies refer to which were not sent. */
  get bufferedBytes(): number {
    const held = [...this.memory.holders.keys()].filter((each) => !(each instanceof ArrayBuffer));
    return held.reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  process(bytes: Buffer): number {
    let at = 0;
    for (let end; (end = bytes.indexOf('\n', at)) !== -1 && !this.connection.isBlocked; at = end + 1) {
      const [command, size, memory = size] = bytes.toString('latin1', at, end).split(' ');
      this.#execute(command, Number(size), Number(memory));
    }
    if (at > 0) this.connection.noteRequest();
    return at;
  }

  write(reply: string): void {
    this.#replied++;
    this.output.text += reply;
  }

  onSent(): void {
    // Nothing is done then.
  }

  onClose(): void {
    this.closed++;
  }

  #execute(command: string, size: number, memory: number): void {
    if (this.connection.isBlocked) throw new Error('executes a request while it is blocked');
    if (command === 'fault') throw new Error('a fault');
    const request = this.requests++;
    const { replies } = this.connection;
    if (command === 'read') return this.#read(replies.reserve(10), request, size, memory);
    if (replies.length === 0) this.write(replyTo(request, size));
    else replies.push(replyTo(request, size), [memoryOf(memory)], memory);
    if (command === 'quit') this.connection.end();
  }

  #read(place: Place<string>, request: number, size: number, memory: number): void {
    const read = new Promise<string>((end, fail) => this.reads.push({ request, end, fail }));
    const result = {
      reply: replyTo(request, size),
      memory: [memoryOf(memory)],
      bytes: memory,
      loadedBytes: memory,
      readAgain: (): void => this.#read(place, request, size, memory),
    };
    const failure = { reply: `failed ${request}\n`, memory: [], bytes: 0, loadedBytes: 0, readAgain: undefined };
    this.connection.whenRead(
      read,
      () => this.connection.settle(place, result),
      () => this.connection.settle(place, failure),
    );
  }
}

/** Returns a reply of about `size` bytes. */
export function replyTo(request: number, size: number): string {
  return `${String(request).padEnd(size, '.')}\n`;
}

/** Stands for memory of a length; its content is never read. */
function memoryOf(byteLength: number): ArrayBuffer {
  return { byteLength } as ArrayBuffer;
}
