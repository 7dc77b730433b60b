/** All versions of all keys, numbered in the order of the writes, with their times. */
export class Versions {
  /** Current version of each key; initial versions are the numbers of the keys. */
  readonly #current: Uint32Array;
  #times: Float64Array;
  /** The version that followed each; 0: none. */
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

  /** Returns when a version was overwritten; undefined if it is current. */
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
