import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import { mgetBody } from './mget-request.spec-support.ts';

describe('the body of a batch', () => {
  it('names the keys, or is refused, as a plain model has it', () => {
    fc.assert(mgetBody, { numRuns: 3000 });
  });
});
