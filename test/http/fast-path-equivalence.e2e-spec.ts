import { expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { runFile } from '../support/run-file.ts';

const REQUESTS = 600;

describeOwn('the fast path, compared with node:http on generated requests,', () => {
  it('sends the same responses', async () => {
    const output = await runFile('fast-path/main.ts', String(REQUESTS));
    expect(output).toContain('no difference');
    expect(Number(/^(\d+) requests in \d+ conversations, seed/m.exec(output)?.[1])).toBeGreaterThanOrEqual(REQUESTS);
  }, 120_000);
});
