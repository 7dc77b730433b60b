import { expect, it } from '@jest/globals';
import { LargeLoadLimiter } from './large-load-limiter.ts';

const MiB = 2 ** 20;

it('admits 8 MiB at once, and then one waiter after the other', async () => {
  const limiter = new LargeLoadLimiter();
  expect([limiter.acquire(4 * MiB), limiter.acquire(4 * MiB)]).toEqual([undefined, undefined]);
  const admitted: string[] = [];
  const first = limiter.acquire(5 * MiB)?.then(() => admitted.push('first'));
  const second = limiter.acquire(1)?.then(() => admitted.push('second'));
  limiter.release(4 * MiB);
  await new Promise(setImmediate);
  expect(admitted).toEqual([]);
  limiter.release(4 * MiB);
  await Promise.all([first, second]);
  expect(admitted).toEqual(['first', 'second']);
});

it('admits more than 8 MiB on their own', async () => {
  const limiter = new LargeLoadLimiter();
  expect(limiter.acquire(64 * MiB)).toBeUndefined();
  const next = limiter.acquire(1);
  expect(next).toBeInstanceOf(Promise);
  limiter.release(64 * MiB);
  await next;
});
