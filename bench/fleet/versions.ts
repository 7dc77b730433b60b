/** Every value that every key has had, told by numbers that grow with each write, and when it was written. */
export class Versions {
  /** The present version of each key; the first ones are the numbers of the keys. */
  readonly #current: Uint32Array;
  #times: Float64Array;
  /** The version that came after each; 0: none has. */
  #next: Uint32Array;
  #count: number;

  constructor(keys: number) {
    this.#current = Uint32Array.from({ length: keys }, (_, key) => key);
    this.#times = new Float64Array(2 * keys);
    this.#next = new Uint32Array(2 * keys);
    this.#count = keys;
  }

  write(key: number, now: number): void {
    const version = this.#count++;
    if (version === this.#times.length) this.#grow();
    this.#times[version] = now;
    this.#next[this.#current[key]] = version;
    this.#current[key] = version;
  }

  current(key: number): number {
    return this.#current[key];
  }

  /** When a version was overwritten; undefined: it is what Redis holds. */
  overwrittenAt(version: number): number | undefined {
    const next = this.#next[version];
    return next === 0 ? undefined : this.#times[next];
  }

  #grow(): void {
    const [times, next] = [this.#times, this.#next];
    this.#times = new Float64Array(2 * times.length);
    this.#times.set(times);
    this.#next = new Uint32Array(2 * next.length);
    this.#next.set(next);
  }
}
