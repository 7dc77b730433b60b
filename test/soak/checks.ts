import type { Key } from './keys.ts';

/** Maximum number of violations in the report. */
const MAX_REPORTED = 20;

/** The state of a key as a response shows it. */
export interface Observation {
  readonly key: Key;
  /** Undefined: the key does not exist. */
  readonly version: number | undefined;
  readonly requestedAt: number;
  readonly respondedAt: number;
  /** Maximum lateness in milliseconds. */
  readonly boundMs: number;
  /** Whether the response may be stale because Redis was unavailable. */
  readonly stale: boolean;
  /** Description of the request, for the report. */
  readonly source: string;
}

/** Checks all responses against the histories of their keys, and counts them. */
export class Checks {
  readonly counts = new Map<string, number>();
  readonly violations: string[] = [];
  violationCount = 0;
  /** Lateness of each response in milliseconds; separate for responses that may be stale. */
  readonly lateness = { coherent: [] as number[], stale: [] as number[] };

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  check({ key, version, requestedAt, respondedAt, boundMs, stale, source }: Observation): void {
    const late = key.history.lateness(version, requestedAt, respondedAt);
    const what = version === undefined ? 'no value' : `version ${version}`;
    if (late === undefined) {
      this.violate(`${source}: ${key.name} has ${what}, which it never had`);
    } else if (late > boundMs) {
      this.violate(`${source}: ${key.name} has ${what}, which was replaced ${late.toFixed(0)} ms earlier`);
    } else {
      this.lateness[stale ? 'stale' : 'coherent'].push(late);
    }
  }

  violate(what: string): void {
    this.violationCount++;
    if (this.violations.length < MAX_REPORTED) this.violations.push(what);
  }
}
