import type { PatternElement } from '../config/key-pattern-syntax.ts';

/** A glob pattern for keys, matched byte by byte. */
export class KeyPattern {
  /** For each element that matches one byte, 256 flags: the bytes that it accepts. */
  readonly #accepts: Uint8Array;
  /** For each element, whether it is a `*`; and a 0 at the end. */
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

  /** Whether the pattern matches every key. */
  get matchesAll(): boolean {
    return this.#length === 1 && this.#isStar[0] === 1;
  }

  /**
   * Whether the key, bytes [from, to) of source, matches. Does not allocate, and takes at most as many steps as the product
   * of the lengths of key and pattern: only the last `*` needs to be extended on a mismatch.
   */
  matches(source: Uint8Array, from: number, to: number): boolean {
    const accepts = this.#accepts;
    const isStar = this.#isStar;
    let element = 0;
    let afterStar = -1;
    let starEnd = from;
    for (let at = from; at < to;) {
      if (isStar[element] === 1) {
        afterStar = ++element;
        starEnd = at;
      } else if (accepts[element * 256 + source[at]] === 1) {
        element++;
        at++;
      } else if (afterStar === -1) {
        return false;
      } else {
        element = afterStar;
        at = ++starEnd;
      }
    }
    while (isStar[element] === 1) element++;
    return element === this.#length;
  }
}
