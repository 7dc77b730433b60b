import { describe, it } from '@jest/globals';
import { RUNNING } from './proxy.ts';

const REASON = '(skipped: PROXY_URL is set, and this needs processes of its own)';

/** Defines tests that start, stop or configure their own processes; skipped if PROXY_URL is set. */
export function describeOwn(promise: string, tests: () => void): void {
  if (RUNNING === undefined) describe(promise, tests);
  else describe.skip(`${promise} ${REASON}`, tests);
}

/** Defines one such test. */
export function itOwn(promise: string, test: () => Promise<void>): void {
  if (RUNNING === undefined) it(promise, test);
  else it.skip(`${promise} ${REASON}`, test);
}
