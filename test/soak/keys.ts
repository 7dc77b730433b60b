import { KeyHistory } from './key-history.ts';

/** A key that is written and read, with its history. */
export interface Key {
  readonly name: string;
  readonly history: KeyHistory;
  /** Version of the latest write. */
  version: number;
}

const MAX_REPETITIONS = 2000;

export function makeKeys(count: number): Key[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `soak:${index}`,
    history: new KeyHistory(),
    version: 0,
  }));
}

/** Returns a value that names its key and version throughout; from a few bytes to tens of thousands. */
export function valueOf({ name }: Key, version: number): string {
  const part = `${name}@${version};`;
  // Most values are short; a few take many blocks and are copied in chunks.
  const times = version % 17 === 0 ? MAX_REPETITIONS : (version * 7) % 23;
  return part.repeat(1 + times);
}

/** Returns the version of a value; NaN if it is not a complete value of this key. */
export function versionOf(key: Key, value: string): number {
  const version = Number(/@(\d+);/.exec(value)?.[1]);
  return value === valueOf(key, version) ? version : NaN;
}
