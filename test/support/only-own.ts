import { describe, it } from '@jest/globals';
import { RUNNING } from './proxy.ts';

const REASON = '(skipped: PROXY_URL is set, and this needs processes of its own)';

/** Defines tests that start, stop or configure their own processes; skipped if PROXY_URL is set. */
export function describeOwn(title: string, tests: () => void): void {
  if (RUNNING === undefined) describe(title, tests);
  else describe.skip(`${title} ${REASON}`, tests);
}

/** Defines one such test. */
export function itOwn(title: string, test: () => Promise<void>): void {
  if (RUNNING === undefined) it(title, test);
  else it.skip(`${title} ${REASON}`, test);
}
