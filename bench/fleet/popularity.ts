/** Draws key numbers with a probability proportional to (number + 1) ** -exponent: key 0 is the most popular. */
export class Popularity {
  /** The probability of each key. */
  readonly shares: Float64Array;
  readonly #kept: Float64Array;
  readonly #other: Uint32Array;

  constructor(keys: number, exponent: number) {
    this.shares = new Float64Array(keys);
    let sum = 0;
    for (let key = 0; key < keys; key++) sum += this.shares[key] = (key + 1) ** -exponent;
    for (let key = 0; key < keys; key++) this.shares[key] /= sum;
    this.#kept = new Float64Array(keys).fill(1);
    this.#other = new Uint32Array(keys);
    this.#fillColumns();
  }

  /** Returns a key for two random numbers in [0, 1). */
  draw(first: number, second: number): number {
    const column = Math.floor(first * this.#kept.length);
    return second < this.#kept[column] ? column : this.#other[column];
  }

  /**
   * Prepares the alias method, which draws in constant time (M. D. Vose, "A linear algorithm for generating random numbers
   * with a given distribution", 1991): each key has a column of the same height, and the free part of a rare key's column is
   * filled with a frequent key.
   */
  #fillColumns(): void {
    const keys = this.shares.length;
    const heights = this.shares.map((share) => share * keys);
    const low: number[] = [];
    const high: number[] = [];
    heights.forEach((height, key) => (height < 1 ? low : high).push(key));
    while (low.length > 0 && high.length > 0) {
      const [rare, frequent] = [low.pop() as number, high.pop() as number];
      this.#kept[rare] = heights[rare];
      this.#other[rare] = frequent;
      heights[frequent] -= 1 - heights[rare];
      (heights[frequent] < 1 ? low : high).push(frequent);
    }
  }
}
