import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ReplyQueue } from './reply-queue.ts';

describe('replies that are still to come', () => {
  it('keep those behind them waiting, whatever the order in which they come', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(), { nil: undefined }), { maxLength: 3000, size: 'max' }), (delays) => {
        const queue = new ReplyQueue();
        const seen: number[] = [];
        const late: (readonly [delay: number, give: () => void])[] = [];
        delays.forEach((delay, i) => {
          const reply = (): void => void seen.push(i);
          if (delay === undefined) queue.push(reply);
          else {
            const give = queue.reserve();
            late.push([delay, () => give(reply)]);
          }
        });
        const drain = (): void => {
          for (let reply; (reply = queue.shift()) !== undefined;) reply();
          expect(seen).toEqual(seen.map((_, i) => i));
          expect(queue.length).toBe(delays.length - seen.length);
        };
        drain();
        late.sort(([a], [b]) => a - b);
        late.forEach(([, give], i) => {
          give();
          if (i % 50 === 0) drain();
        });
        drain();
        expect(seen).toHaveLength(delays.length);
      }),
      { numRuns: 30 },
    );
  });
});
