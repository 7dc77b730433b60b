/** A reply, written when its turn has come. */
export type Reply = () => void;

interface Place {
  reply: Reply | undefined;
}

/** Keeps replies in the order of their requests while some of them are still to come. */
export class ReplyQueue {
  readonly #places: Place[] = [];
  /** Places before this one have been served. */
  #head = 0;

  /** Replies that are queued. */
  get length(): number {
    return this.#places.length - this.#head;
  }

  /** Takes the next place for a reply that is to come; the answer is how it is given. */
  reserve(): (reply: Reply) => void {
    const place: Place = { reply: undefined };
    this.#places.push(place);
    return (reply) => {
      place.reply = reply;
    };
  }

  /** Queues a reply that is there. */
  push(reply: Reply): void {
    this.#places.push({ reply });
  }

  /** Takes the next reply, if it is there. */
  shift(): Reply | undefined {
    const reply = this.#places.at(this.#head)?.reply;
    if (reply === undefined) return undefined;
    this.#head++;
    if (this.#head === this.#places.length) {
      this.#places.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#places.splice(0, this.#head);
      this.#head = 0;
    }
    return reply;
  }

  clear(): void {
    this.#places.length = 0;
    this.#head = 0;
  }
}
