import { beforeAll, describe, expect, it } from '@jest/globals';
import { CHANGED } from '../fast-path/changed.ts';
import type { Finding } from '../fast-path/finding.ts';
import { describeOwn } from '../support/only-own.ts';
import { Child } from '../support/processes.ts';

const REQUESTS = 3000;
const LONG_MS = 120_000;

/** Runs a file in a process of its own, as Jest traces sockets, and these are thousands; answers what it has printed. */
async function run(file: string, ...args: string[]): Promise<string> {
  const path = new URL(`../fast-path/${file}`, import.meta.url).pathname;
  const child = new Child(process.execPath, [path, ...args], { env: { PATH: process.env.PATH } });
  expect([await child.exit, child.output + child.errors]).toEqual([0, expect.any(String)]);
  return child.output;
}

describeOwn('the fast path is only faster', () => {
  it(
    'it says what node:http says, whatever it is asked',
    async () => {
      const output = await run('main.ts', String(REQUESTS));
      expect(output).toContain('no difference');
      expect(Number(/^(\d+) requests in \d+ conversations, seed/m.exec(output)?.[1])).toBeGreaterThanOrEqual(REQUESTS);
    },
    LONG_MS,
  );

  describe('which a comparison says that finds a server', () => {
    let findings: Readonly<Record<string, Finding>>;
    beforeAll(async () => {
      findings = JSON.parse(await run('sensitivity.ts')) as Record<string, Finding>;
    }, LONG_MS);

    it.each(Object.keys(CHANGED))('%s', (name) => {
      expect(findings[name].difference).toMatch(/^the fast path says something else than node:http/);
    });

    it('unless it is the same', () => {
      expect(findings.unchanged).toEqual({ requests: expect.any(Number) });
      expect(findings.unchanged.requests).toBeGreaterThanOrEqual(1200);
    });
  });
});
