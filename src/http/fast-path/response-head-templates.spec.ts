import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { ReadOutcome } from '../../cache/read-through/read-outcome.ts';
import { KEY_NOT_FOUND, VALUE_TOO_LARGE, hitResponse, keyResponse, storedResponse } from '../keys/key-response.ts';
import { UNCONDITIONAL } from '../response/conditional.ts';
import { HttpDate, responseHead } from '../response/response-head.ts';
import { ResponseHeadTemplates, MAX_RESPONSE_HEAD_BYTES } from './response-head-templates.ts';

const word = fc.integer();
const hits = fc.record({
  etag: fc.tuple(word, word, word),
  ageMs: fc.oneof(fc.double({ min: 0, max: 1e10, noNaN: true }), fc.constantFrom(0, 1, 999.5, 1000, 1000.5, 9000.5)),
  // A served value has not expired.
  remainingMs: fc.double({ min: 0, max: 1e10, noNaN: true }),
  revalidate: fc.boolean(),
  length: fc.oneof(fc.nat({ max: 16 * 1024 }), fc.constantFrom(0, 9, 10, 99, 100, 999, 1000, 9999, 10_000)),
});

describe('ResponseHeadTemplates', () => {
  it('writes the same bytes as the controller, for any sequence of hits', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom('text/plain', 'application/octet-stream', undefined),
        fc.constantFrom(1, 999, 65_000),
        fc.array(hits, { minLength: 1, maxLength: 8 }),
        (isHit, isPrivate, contentType, keepAliveTimeoutMs, responses) => {
          const sandbox = contentType === 'text/plain';
          const policy = {
            contentType,
            sandbox,
            notFound: KEY_NOT_FOUND,
            tooLarge: VALUE_TOO_LARGE,
            private: isPrivate,
            revalidate: false,
            honoursDirectives: true,
          };
          const date = new HttpDate();
          const templates = new ResponseHeadTemplates(
            isHit ? hitResponse : storedResponse,
            policy,
            keepAliveTimeoutMs,
            date,
          );
          const hit = new HitBuffer();
          const target = Buffer.alloc(responses.length * MAX_RESPONSE_HEAD_BYTES);
          let end = 0;
          let expected = '';
          for (const { etag, ageMs, remainingMs, length, revalidate } of responses) {
            // It may change from one response to the next.
            policy.revalidate = revalidate;
            [hit.etag[0], hit.etag[1], hit.etag[2]] = etag;
            Object.assign(hit, { ageMs, lifetimeMs: ageMs + remainingMs, length });
            end = templates.write(hit, target, end);
            const freshness = { ageMs, lifetimeMs: hit.lifetimeMs };
            const read = { value: Buffer.alloc(length), etag, freshness };
            const outcome: ReadOutcome = isHit
              ? { kind: 'hit', ...read }
              : { kind: 'value', origin: 'stored', forward: 'uri-miss', ...read };
            const response = keyResponse(outcome, UNCONDITIONAL, policy);
            expected += responseHead(response, date.now, { close: false, keepAliveTimeoutMs });
          }
          expect(target.toString('latin1', 0, end)).toBe(expected);
        },
      ),
      { numRuns: 300 },
    );
  });
});
