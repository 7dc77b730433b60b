import { NODE_WORDS, NONE, Node } from './layout.ts';

/** Doubly linked list through the nodes of the slots; head and tail are two words of the header. */
export class SlotList {
  readonly #header: Int32Array;
  readonly #nodes: Int32Array;
  readonly #head: number;
  readonly #tail: number;

  constructor(header: Int32Array, nodes: Int32Array, head: number, tail: number) {
    this.#header = header;
    this.#nodes = nodes;
    this.#head = head;
    this.#tail = tail;
  }

  get first(): number {
    return this.#header[this.#head];
  }

  get last(): number {
    return this.#header[this.#tail];
  }

  next(slot: number): number {
    return this.#nodes[slot * NODE_WORDS + Node.NEXT];
  }

  previous(slot: number): number {
    return this.#nodes[slot * NODE_WORDS + Node.PREVIOUS];
  }

  prepend(slot: number): void {
    const first = this.#header[this.#head];
    const at = slot * NODE_WORDS;
    this.#nodes[at + Node.PREVIOUS] = NONE;
    this.#nodes[at + Node.NEXT] = first;
    if (first === NONE) this.#header[this.#tail] = slot;
    else this.#nodes[first * NODE_WORDS + Node.PREVIOUS] = slot;
    this.#header[this.#head] = slot;
  }

  append(slot: number): void {
    const last = this.#header[this.#tail];
    const at = slot * NODE_WORDS;
    this.#nodes[at + Node.PREVIOUS] = last;
    this.#nodes[at + Node.NEXT] = NONE;
    if (last === NONE) this.#header[this.#head] = slot;
    else this.#nodes[last * NODE_WORDS + Node.NEXT] = slot;
    this.#header[this.#tail] = slot;
  }

  remove(slot: number): void {
    const at = slot * NODE_WORDS;
    const previous = this.#nodes[at + Node.PREVIOUS];
    const next = this.#nodes[at + Node.NEXT];
    if (previous === NONE) this.#header[this.#head] = next;
    else this.#nodes[previous * NODE_WORDS + Node.NEXT] = next;
    if (next === NONE) this.#header[this.#tail] = previous;
    else this.#nodes[next * NODE_WORDS + Node.PREVIOUS] = previous;
  }

  moveToFront(slot: number): void {
    if (this.#header[this.#head] === slot) return;
    this.remove(slot);
    this.prepend(slot);
  }

  /** Empties the list without visiting its members. */
  clear(): void {
    this.#header[this.#head] = NONE;
    this.#header[this.#tail] = NONE;
  }
}
