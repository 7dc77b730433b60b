import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import type { ReadOutcome } from '../../cache/read-through/read-outcome.ts';
import { hitAnswer, keyResponse, storedAnswer } from '../keys/key-response.ts';
import { HttpDate, messageHead } from '../response/response-head.ts';
import { ResponseHeadTemplates, MAX_RESPONSE_HEAD_BYTES } from './response-head-templates.ts';

const word = fc.integer();
const hits = fc.record({
  etag: fc.tuple(word, word, word),
  ageMs: fc.oneof(fc.double({ min: 0, max: 1e10, noNaN: true }), fc.constantFrom(0, 1, 999.5, 1000, 1000.5, 9000.5)),
  // What is served still lives.
  remainingMs: fc.double({ min: 0, max: 1e10, noNaN: true }),
  revalidate: fc.boolean(),
  length: fc.oneof(fc.nat({ max: 16 * 1024 }), fc.constantFrom(0, 9, 10, 99, 100, 999, 1000, 9999, 10_000)),
});

describe('the answers that the fast path writes from templates', () => {
  it('are those of the controller, to the byte, one after the other', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.constantFrom('text/plain', 'application/octet-stream'),
        fc.constantFrom(1, 999, 65_000),
        fc.array(hits, { minLength: 1, maxLength: 8 }),
        (isHit, isPrivate, contentType, keepAliveTimeoutMs, answered) => {
          const policy = { contentType, private: isPrivate, revalidate: false };
          const date = new HttpDate();
          const messages = new ResponseHeadTemplates(
            isHit ? hitAnswer : storedAnswer,
            policy,
            keepAliveTimeoutMs,
            date,
          );
          const hit = new HitBuffer();
          const target = Buffer.alloc(answered.length * MAX_RESPONSE_HEAD_BYTES);
          let end = 0;
          let expected = '';
          for (const { etag, ageMs, remainingMs, length, revalidate } of answered) {
            // As it is by now, from one answer to the next.
            policy.revalidate = revalidate;
            [hit.etag[0], hit.etag[1], hit.etag[2]] = etag;
            Object.assign(hit, { ageMs, lifetimeMs: ageMs + remainingMs, length });
            end = messages.write(hit, target, end);
            const freshness = { ageMs, lifetimeMs: hit.lifetimeMs };
            const read = { value: Buffer.alloc(length), etag, freshness };
            const outcome: ReadOutcome = isHit
              ? { kind: 'hit', ...read }
              : { kind: 'value', origin: 'stored', forward: 'uri-miss', ...read };
            const answer = keyResponse(outcome, undefined, policy);
            expected += messageHead(answer, date.now, { close: false, keepAliveTimeoutMs });
          }
          expect(target.toString('latin1', 0, end)).toBe(expected);
        },
      ),
      { numRuns: 300 },
    );
  });
});
