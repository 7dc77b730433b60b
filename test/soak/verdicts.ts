import type { Key } from './truth.ts';

/** Violations that are told in full. */
const TOLD = 20;

/** What an answer said of a key, and when. */
export interface Said {
  readonly key: Key;
  /** Undefined: that there is no such key. */
  readonly version: number | undefined;
  readonly askedAt: number;
  readonly answeredAt: number;
  /** Milliseconds by which the answer may be late. */
  readonly boundMs: number;
  /** Whether it may be one of those that are given because Redis cannot answer. */
  readonly stale: boolean;
  /** How it was asked, for the report. */
  readonly how: string;
}

/** Judges all answers, and counts them. */
export class Verdicts {
  readonly counts = new Map<string, number>();
  readonly violations: string[] = [];
  violated = 0;
  /** By how many milliseconds answers were late, those that may be stale apart. */
  readonly lateness = { coherent: [] as number[], stale: [] as number[] };

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  judge({ key, version, askedAt, answeredAt, boundMs, stale, how }: Said): void {
    const late = key.history.lateness(version, askedAt, answeredAt);
    const what = version === undefined ? 'no such key' : `version ${version}`;
    if (late === undefined) {
      this.violate(`${how}: ${key.name} is said to be ${what}, which it was not`);
    } else if (late > boundMs) {
      this.violate(`${how}: ${key.name} is said to be ${what}, which it last was ${late.toFixed(0)} ms before`);
    } else {
      this.lateness[stale ? 'stale' : 'coherent'].push(late);
    }
  }

  violate(what: string): void {
    this.violated++;
    if (this.violations.length < TOLD) this.violations.push(what);
  }
}
