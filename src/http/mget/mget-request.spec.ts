import { describe, it } from '@jest/globals';
import fc from 'fast-check';
import { mgetBody } from './mget-request.spec-support.ts';

describe('parseMget', () => {
  it('accepts and rejects the same bodies as a simple model', () => {
    fc.assert(mgetBody, { numRuns: 3000 });
  });
});
