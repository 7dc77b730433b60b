import type { BufferAccounting } from '../buffer-accounting.ts';
import { LoadWindow } from '../load-window.ts';

/** Most requests of one connection in flight. */
const MAX_REPLIES = 128;
/** Most bytes of the keys of these requests. */
const MAX_REQUEST_BYTES = 2 ** 18;
/** Unsent bytes beyond which no further reply is buffered for a client; the limit may be exceeded by one value. */
const ALLOWANCE_BYTES = 2 ** 20;

/** Bytes that were written to a connection but not yet sent. */
export interface Unsent {
  readonly length: number;
  /** Whether writing should pause. */
  readonly isFull: boolean;
}

/** The position of a reply in the order of the requests. */
export interface Place<Reply> {
  /** Undefined until it is known, or if it was dropped and must be read again. */
  reply: Reply | undefined;
  /** The memory that the reply refers to, and how many bytes of it will be sent. */
  memory: readonly ArrayBufferLike[];
  bytes: number;
  /** Reads the reply again once it is dropped; undefined if it must not be. */
  readAgain: (() => void) | undefined;
  /** Whether the reply was dropped. */
  isDropped: boolean;
  /** Bytes of the request that stay in memory. */
  readonly requestBytes: number;
}

/** A reply whose read has ended. */
export interface ReadReply<Reply> {
  readonly reply: Reply;
  /** Memory that the reply refers to until it is sent. */
  readonly memory: readonly ArrayBufferLike[];
  /** Number of bytes of the memory that will be sent. */
  readonly bytes: number;
  /** Length of the value, or total length of the values, that were read for the reply. */
  readonly loadedBytes: number;
  /** Reads the reply again and settles its place again; undefined if the reply must be buffered in any case. */
  readonly readAgain: (() => void) | undefined;
}

const NO_MEMORY: readonly ArrayBufferLike[] = [];

/**
 * Sends the replies of a pipelined connection in request order, and limits the memory that waiting replies occupy.
 *
 * A reply that is ready before its predecessors, or while the client does not read, is buffered if the connection has less
 * than 1 MiB unsent and the limit of buffered bytes is not reached. Otherwise it is dropped, and read again once it is next
 * to be sent. So a client that does not read occupies at most one value beyond its allowance, no request fails, and no load
 * waits for a client. While a read of the connection waits for memory, replies that are buffered behind it are dropped, too:
 * it could wait for them, and they for it.
 */
export class OrderedReplies<Reply> {
  readonly #memory: BufferAccounting;
  readonly #unsent: Unsent;
  readonly #window = new LoadWindow(MAX_REPLIES);
  #places: Place<Reply>[] = [];
  /** Index of the first reply that has not been sent. */
  #head = 0;
  /** Bytes of the buffered replies. */
  #bytes = 0;
  #requestBytes = 0;
  /** Number of reads in flight. */
  #reading = 0;

  constructor(memory: BufferAccounting, unsent: Unsent) {
    this.#memory = memory;
    this.#unsent = unsent;
  }

  /** Number of requests whose replies have not been written. */
  get length(): number {
    return this.#places.length - this.#head;
  }

  /** Whether no further request may be processed until a reply has been sent or loaded. */
  get isFull(): boolean {
    const { length } = this;
    // Hits need no more than this.
    if (length === 0) return false;
    return (
      length >= MAX_REPLIES ||
      this.#bytes >= ALLOWANCE_BYTES ||
      this.#requestBytes >= MAX_REQUEST_BYTES ||
      this.#reading >= this.#window.size ||
      !this.#memory.hasRoom
    );
  }

  /** Whether this is the only reply that has not been sent. */
  isOnly(place: Place<Reply>): boolean {
    return this.length === 1 && this.#places[this.#head] === place;
  }

  /** Whether this is the reply to the last request received. */
  isLast(place: Place<Reply>): boolean {
    return this.#places.at(-1) === place;
  }

  /**
   * Reserves the place of a reply that is being read.
   *
   * @param requestBytes bytes of the request that stay in memory.
   */
  reserve(requestBytes: number): Place<Reply> {
    this.#reading++;
    this.#requestBytes += requestBytes;
    const place: Place<Reply> = {
      ...{ reply: undefined, memory: NO_MEMORY, bytes: 0 },
      ...{ readAgain: undefined, isDropped: false, requestBytes },
    };
    this.#places.push(place);
    return place;
  }

  /** Appends a small reply that is ready; returns its place. */
  push(reply: Reply, memory: readonly ArrayBufferLike[] = NO_MEMORY, bytes = 0): Place<Reply> {
    for (const each of memory) this.#memory.hold(each);
    this.#bytes += bytes;
    const place = { reply, memory, bytes, readAgain: undefined, isDropped: false, requestBytes: 0 };
    this.#places.push(place);
    return place;
  }

  /** Removes the only place, whose reply, with a value of this many bytes, the caller sends itself. */
  removeOnly(bytes: number): void {
    this.#reading--;
    this.#window.observe(bytes);
    this.#requestBytes = 0;
    this.#places = [];
    this.#head = 0;
  }

  /**
   * Stores a reply at its place.
   *
   * @returns false if the reply was dropped: it will be read again once it is next to be sent.
   */
  settle(place: Place<Reply>, { reply, memory, bytes, loadedBytes, readAgain }: ReadReply<Reply>): boolean {
    this.#reading--;
    this.#window.observe(loadedBytes);
    if (!this.#tryBuffer(place, memory)) {
      if (readAgain !== undefined) {
        place.readAgain = readAgain;
        place.isDropped = true;
        return false;
      }
      for (const each of memory) this.#memory.hold(each);
    }
    place.reply = reply;
    place.memory = memory;
    place.bytes = bytes;
    place.readAgain = readAgain;
    this.#bytes += bytes;
    return true;
  }

  /** Drops the buffered replies behind the first that is being read; they will be read again. @param onDrop called for each. */
  dropWaiting(onDrop: (reply: Reply) => void): void {
    const first = this.#places.findIndex(({ reply }, index) => index >= this.#head && reply === undefined);
    if (first === -1) return;
    for (const place of this.#places.slice(first)) {
      const { reply, readAgain, memory } = place;
      if (reply === undefined || readAgain === undefined || memory.length === 0) continue;
      this.#bytes -= place.bytes;
      place.reply = undefined;
      place.memory = NO_MEMORY;
      place.bytes = 0;
      place.isDropped = true;
      for (const each of memory) this.#memory.release(each);
      onDrop(reply);
    }
  }

  /** Sends the replies that are next in order, while the client reads; reads dropped replies again. */
  send(write: (reply: Reply) => void): void {
    for (let place; !this.#unsent.isFull && (place = this.#places.at(this.#head)) !== undefined;) {
      this.#readAgain(place);
      if (place.reply === undefined) return;
      this.#shift();
      this.#bytes -= place.bytes;
      this.#requestBytes -= place.requestBytes;
      write(place.reply);
      this.#release(place);
    }
  }

  /** Drops all replies, and releases their memory. */
  clear(): void {
    for (const place of this.#places.slice(this.#head)) this.#release(place);
    this.#places = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** Adds a holder to the memory of a reply; returns false if the limits do not permit it. */
  #tryBuffer(place: Place<Reply>, memory: readonly ArrayBufferLike[]): boolean {
    if (memory.length === 0) return true;
    // The next reply to be sent is always buffered.
    if (place === this.#places[this.#head] && !this.#unsent.isFull) {
      for (const each of memory) this.#memory.hold(each);
      return true;
    }
    if (this.#bytes + this.#unsent.length >= ALLOWANCE_BYTES) return false;
    const refused = memory.findIndex((each) => !this.#memory.tryHold(each));
    if (refused === -1) return true;
    for (const each of memory.slice(0, refused)) this.#memory.release(each);
    return false;
  }

  #readAgain(place: Place<Reply>): void {
    const { readAgain, isDropped } = place;
    if (!isDropped) return;
    place.isDropped = false;
    this.#reading++;
    readAgain?.();
  }

  #release({ memory }: Place<Reply>): void {
    for (const each of memory) this.#memory.release(each);
  }

  #shift(): void {
    this.#head++;
    if (this.#head === this.#places.length) {
      this.#places = [];
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#places.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
