import type { BufferAccounting } from './buffer-accounting.ts';
import { LoadWindow } from './load-window.ts';

/** Requests of one connection that are worked on at the same time. */
const MAX_REPLIES = 128;
/** Bytes of their keys. */
const MAX_REQUEST_BYTES = 2 ** 18;
/** Bytes that a client may leave unread before nothing more is kept for it: it holds one value more at most. */
const ALLOWANCE_BYTES = 2 ** 20;

/** What has been written to a connection and the client has not taken. */
export interface Unsent {
  readonly length: number;
  /** Whether nothing should be written now. */
  readonly isFull: boolean;
}

/** The place of a reply in the order of the requests. */
export interface Place<Reply> {
  /** Undefined until it is known, or while it could not be kept. */
  reply: Reply | undefined;
  /** The memory that the reply keeps, and the bytes of it that are to be sent. */
  memory: readonly ArrayBufferLike[];
  bytes: number;
  /** Reads anew what could not be kept; undefined when nothing has to be. */
  readAgain: (() => void) | undefined;
  /** Bytes that are kept of the request. */
  readonly requestBytes: number;
}

const NO_MEMORY: readonly ArrayBufferLike[] = [];

/**
 * The replies of a pipelined connection that wait for one before them, and what the connection may keep for its client.
 *
 * A reply that is ready while others stand before it, or while the client does not read, is kept as long as the client has
 * left less than 1 MiB unread and there is room among the buffered bytes. Otherwise it is dropped, and read anew when its
 * turn has come. So a client that does not read holds no more than one value over its allowance, nothing is refused, and no
 * load waits for a client.
 */
export class OrderedReplies<Reply> {
  readonly #memory: BufferAccounting;
  readonly #unsent: Unsent;
  readonly #window = new LoadWindow();
  #places: Place<Reply>[] = [];
  /** Places before this one have been served. */
  #head = 0;
  /** Bytes of the replies that are kept. */
  #bytes = 0;
  #requestBytes = 0;
  /** Replies that are being read. */
  #reading = 0;

  constructor(memory: BufferAccounting, unsent: Unsent) {
    this.#memory = memory;
    this.#unsent = unsent;
  }

  /** Requests whose replies have not been written. */
  get length(): number {
    return this.#places.length - this.#head;
  }

  /** Whether no more requests may be worked on until something has been sent or loaded. */
  get isFull(): boolean {
    return (
      this.length >= MAX_REPLIES ||
      this.#bytes >= ALLOWANCE_BYTES ||
      this.#requestBytes >= MAX_REQUEST_BYTES ||
      this.#reading >= this.#window.size ||
      (this.length > 0 && !this.#memory.hasRoom)
    );
  }

  /** Whether no other reply is awaited than this one. */
  isOnly(place: Place<Reply>): boolean {
    return this.length === 1 && this.#places[this.#head] === place;
  }

  /** Whether no request came after the one that this is for. */
  isLast(place: Place<Reply>): boolean {
    return this.#places.at(-1) === place;
  }

  /**
   * Keeps a place for a reply that is being read.
   *
   * @param requestBytes that are kept of the request.
   */
  reserve(requestBytes: number): Place<Reply> {
    this.#reading++;
    this.#requestBytes += requestBytes;
    const place: Place<Reply> = { reply: undefined, memory: NO_MEMORY, bytes: 0, readAgain: undefined, requestBytes };
    this.#places.push(place);
    return place;
  }

  /** Puts a reply that is small and known behind those that are awaited. */
  push(reply: Reply, memory: readonly ArrayBufferLike[] = NO_MEMORY, bytes = 0): void {
    for (const each of memory) this.#memory.hold(each);
    this.#bytes += bytes;
    this.#places.push({ reply, memory, bytes, readAgain: undefined, requestBytes: 0 });
  }

  /** Forgets the one place that there is: its reply, with a value of so many bytes, is sent in another way. */
  takeOnly(bytes: number): void {
    this.#reading--;
    this.#window.observe(bytes);
    this.#requestBytes = 0;
    this.#places = [];
    this.#head = 0;
  }

  /**
   * Gives a reply its place.
   *
   * @param memory that the reply keeps until it is sent.
   * @param bytes of it that are to be sent.
   * @param loadedBytes of the largest value that was read for it.
   * @param readAgain reads it anew and settles the place again; undefined: it is kept in any case.
   * @returns false if it could not be kept: it will be read again when its turn has come.
   */
  settle(
    place: Place<Reply>,
    reply: Reply,
    memory: readonly ArrayBufferLike[],
    bytes: number,
    loadedBytes: number,
    readAgain: (() => void) | undefined,
  ): boolean {
    this.#reading--;
    this.#window.observe(loadedBytes);
    if (!this.#keep(place, memory)) {
      if (readAgain !== undefined) {
        place.readAgain = readAgain;
        return false;
      }
      for (const each of memory) this.#memory.hold(each);
    }
    place.reply = reply;
    place.memory = memory;
    place.bytes = bytes;
    this.#bytes += bytes;
    return true;
  }

  /** Sends the replies whose turn has come with `write`, as long as the client reads; has that read again which must be. */
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

  /** Forgets all replies. */
  clear(): void {
    for (const place of this.#places.slice(this.#head)) this.#release(place);
    this.#places = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  /** Whether the memory of a reply can be kept, which is then held. */
  #keep(place: Place<Reply>, memory: readonly ArrayBufferLike[]): boolean {
    if (memory.length === 0) return true;
    // The one that is sent now is kept in any case.
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
    const { readAgain } = place;
    if (readAgain === undefined) return;
    place.readAgain = undefined;
    this.#reading++;
    readAgain();
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
