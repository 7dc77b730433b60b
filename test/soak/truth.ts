import { KeyHistory } from './key-history.ts';

/** A key that is written and read, and what it has been. */
export interface Key {
  readonly name: string;
  readonly history: KeyHistory;
  /** Of the value written last. */
  version: number;
}

const LONGEST_REPEATED = 2000;

export function makeKeys(count: number): Key[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `soak:${index}`,
    history: new KeyHistory(),
    version: 0,
  }));
}

/** A value that says at any place of which key and version it is; from a few bytes to tens of thousands. */
export function valueOf({ name }: Key, version: number): string {
  const part = `${name}@${version};`;
  // A few of all lengths: most short, some that take many blocks, a few that are copied in steps.
  const times = version % 17 === 0 ? LONGEST_REPEATED : (version * 7) % 23;
  return part.repeat(1 + times);
}

/** The version of a value; NaN when it is no value of this key, or not a whole one. */
export function versionOf(key: Key, value: string): number {
  const version = Number(/@(\d+);/.exec(value)?.[1]);
  return value === valueOf(key, version) ? version : NaN;
}
