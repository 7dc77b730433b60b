/** A version of a key's value. */
interface Version {
  readonly version: number;
  /** When the write of the next version was acknowledged; this version is stale from then on. */
  replacedAt: number;
  /** Staleness of the last read that returned this version, at its start. */
  staleForMs: number;
}

/** Records the versions of each key and determines the staleness of reads. Each key has one writer. */
export class Versions {
  readonly #keys = new Map<string, Version[]>();
  /** Reads that returned a value that the key never had. */
  readonly wrong: string[] = [];
  reads = 0;

  /** Records the start of a write; from now on its version may be read. */
  startWrite(key: string, version: number): void {
    this.#of(key).push({ version, replacedAt: Infinity, staleForMs: 0 });
  }

  /** Records the acknowledgement of a write; from now on the previous version is stale. */
  acknowledgeWrite(key: string, now: number): void {
    const versions = this.#of(key);
    versions[versions.length - 2].replacedAt = now;
  }

  read(key: string, version: number, startedAt: number): void {
    this.reads++;
    // A key may have had the same version more than once: the latest one counts.
    const found = this.#of(key).findLast((each) => each.version === version);
    if (found === undefined) this.wrong.push(`${key}: ${version}`);
    else found.staleForMs = Math.max(found.staleForMs, startedAt - found.replacedAt);
  }

  /** For each write, how long after its acknowledgement a read started that returned the old value; ascending. */
  get delaysMs(): number[] {
    const replaced = [...this.#keys.values()].flatMap((versions) => versions.slice(0, -1));
    return replaced.map(({ staleForMs }) => staleForMs).sort((a, b) => a - b);
  }

  #of(key: string): Version[] {
    const versions = this.#keys.get(key) ?? [{ version: 0, replacedAt: Infinity, staleForMs: 0 }];
    this.#keys.set(key, versions);
    return versions;
  }
}
