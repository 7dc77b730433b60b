import { beforeAll, describe, expect, it } from '@jest/globals';
import { CHANGED } from '../fast-path/changed.ts';
import type { Finding } from '../fast-path/finding.ts';
import { runFile } from '../support/run-file.ts';

const REQUESTS = 3000;
/** The same requests each time; `npm run fuzz:fast-path` generates others. */
const SEED = 20_261_130;
const LONG_MS = 180_000;

describe('the fast path, compared with node:http on many generated requests,', () => {
  it(
    'sends the same responses',
    async () => {
      const output = await runFile('fast-path/main.ts', String(REQUESTS), String(SEED));
      expect(output).toContain('no difference');
      expect(Number(/^(\d+) requests in \d+ conversations, seed/m.exec(output)?.[1])).toBeGreaterThanOrEqual(REQUESTS);
    },
    LONG_MS,
  );
});

describe('the comparison of the fast path with node:http', () => {
  let findings: Readonly<Record<string, Finding>>;
  beforeAll(async () => {
    findings = JSON.parse(await runFile('fast-path/sensitivity.ts')) as Record<string, Finding>;
  }, LONG_MS);

  it.each(Object.keys(CHANGED))('finds a server %s', (name) => {
    expect(findings[name].difference).toMatch(/^the fast path says something else than node:http/);
  });

  it('finds no difference between a server and itself', () => {
    expect(findings.unchanged).toEqual({ requests: expect.any(Number) });
    expect(findings.unchanged.requests).toBeGreaterThanOrEqual(1200);
  });
});
