/** One value that a key had. */
interface Version {
  readonly version: number;
  /** When the write of the one after it was acknowledged: from then on this one is old. */
  replacedAt: number;
  /** How long it had been old when the last read began that gave it. */
  oldForMs: number;
}

/** Knows what each key held at which time, and finds out how old what is read is. Each key has one writer. */
export class Versions {
  readonly #keys = new Map<string, Version[]>();
  /** Reads of values that their key never had. */
  readonly wrong: string[] = [];
  reads = 0;

  /** A write begins. From here on it may be read. */
  writes(key: string, version: number): void {
    this.#of(key).push({ version, replacedAt: Infinity, oldForMs: 0 });
  }

  /** The write has ended. From here on what was there before is old. */
  acknowledged(key: string, now: number): void {
    const versions = this.#of(key);
    versions[versions.length - 2].replacedAt = now;
  }

  read(key: string, version: number, startedAt: number): void {
    this.reads++;
    // The same value may have been there more than once: the last time counts.
    const found = this.#of(key).findLast((each) => each.version === version);
    if (found === undefined) this.wrong.push(`${key}: ${version}`);
    else found.oldForMs = Math.max(found.oldForMs, startedAt - found.replacedAt);
  }

  /** For each write, how long after its acknowledgement a read still began that gave the value before; ascending. */
  get delaysMs(): number[] {
    const replaced = [...this.#keys.values()].flatMap((versions) => versions.slice(0, -1));
    return replaced.map(({ oldForMs }) => oldForMs).sort((a, b) => a - b);
  }

  #of(key: string): Version[] {
    const versions = this.#keys.get(key) ?? [{ version: 0, replacedAt: Infinity, oldForMs: 0 }];
    this.#keys.set(key, versions);
    return versions;
  }
}
