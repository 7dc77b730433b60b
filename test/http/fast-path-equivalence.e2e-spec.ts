import { expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { runFile } from '../support/run-file.ts';

/** The same requests each time; `npm run fuzz:fast-path` generates others. */
const SEED = 20_261_129;
/** The long spec generates many more. */
const REQUESTS = 600;

describeOwn('the fast path, compared with node:http on generated requests,', () => {
  it('sends the same responses', async () => {
    const output = await runFile('fast-path/main.ts', String(REQUESTS), String(SEED));
    expect(output).toContain('no difference');
    expect(Number(/^(\d+) requests in \d+ conversations, seed/m.exec(output)?.[1])).toBeGreaterThanOrEqual(REQUESTS);
  });
});
