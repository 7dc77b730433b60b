import type { PatternElement } from '../config/environment/key-pattern-syntax.ts';

/** A glob pattern that keys are compared with, byte by byte. */
export class KeyPattern {
  /** For each element that stands for one byte, 256 flags: which bytes it accepts. */
  readonly #accepts: Uint8Array;
  /** For each element whether it is a `*`, and a last one that is none. */
  readonly #isStar: Uint8Array;
  readonly #length: number;

  constructor(elements: readonly PatternElement[]) {
    this.#length = elements.length;
    this.#accepts = new Uint8Array((elements.length + 1) * 256);
    this.#isStar = new Uint8Array(elements.length + 1);
    elements.forEach((element, i) => {
      if (element === 'any-bytes') this.#isStar[i] = 1;
      else for (const byte of element) this.#accepts[i * 256 + byte] = 1;
    });
  }

  /** Whether it matches every key there is. */
  get matchesAll(): boolean {
    return this.#length === 1 && this.#isStar[0] === 1;
  }

  /**
   * Whether the key, bytes [from, to) of source, is one that it describes. Takes no memory, and at most as many steps as
   * the key has bytes times the pattern has elements: only the last `*` can ever have to take in more.
   */
  matches(source: Uint8Array, from: number, to: number): boolean {
    const accepts = this.#accepts;
    const isStar = this.#isStar;
    let element = 0;
    let afterStar = -1;
    let takenIn = from;
    for (let at = from; at < to;) {
      if (isStar[element] === 1) {
        afterStar = ++element;
        takenIn = at;
      } else if (accepts[element * 256 + source[at]] === 1) {
        element++;
        at++;
      } else if (afterStar === -1) {
        return false;
      } else {
        element = afterStar;
        at = ++takenIn;
      }
    }
    while (isStar[element] === 1) element++;
    return element === this.#length;
  }
}
