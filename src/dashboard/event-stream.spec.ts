import { PassThrough } from 'node:stream';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { EventStream } from './event-stream.ts';

const RETRY = 'retry: 1000\n\n';

/** Creates a subscriber that does not read until {@link read} is called. */
function newSubscriber(): PassThrough {
  return new PassThrough({ highWaterMark: 1 });
}

function read(stream: PassThrough): string {
  return (stream.read() as Buffer | null)?.toString() ?? '';
}

const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('EventStream', () => {
  let reads: number;
  let tick: (() => void) | undefined;
  let stream: EventStream;

  beforeEach(() => {
    reads = 0;
    tick = undefined;
    stream = new EventStream({
      read: () => String(++reads),
      maxSubscribers: 2,
      schedule: (call) => {
        tick = call;
        return () => (tick = undefined);
      },
    });
  });

  it('sends an event on subscription, and the same event to all subscribers at each interval', () => {
    const [a, b] = [newSubscriber(), newSubscriber()];
    stream.subscribe(a);
    expect(read(a)).toBe(`${RETRY}data: 1\n\n`);
    stream.subscribe(b);
    expect(read(b)).toBe(`${RETRY}data: 2\n\n`);
    tick?.();
    expect([read(a), read(b)]).toEqual(['data: 3\n\n', 'data: 3\n\n']);
  });

  it('reads nothing and has no timer without subscribers', async () => {
    expect([tick, reads]).toEqual([undefined, 0]);
    const only = newSubscriber();
    stream.subscribe(only);
    only.destroy();
    await nextTick();
    expect([stream.subscribers, tick, reads]).toEqual([0, undefined, 1]);
  });

  it('is full at the limit, and no longer when a subscriber closes', async () => {
    const all = [newSubscriber(), newSubscriber()];
    expect(stream.isFull).toBe(false);
    for (const each of all) stream.subscribe(each);
    expect(stream.isFull).toBe(true);
    all[0].destroy();
    await nextTick();
    expect([stream.isFull, stream.subscribers]).toEqual([false, 1]);
    expect(tick).toBeDefined();
  });

  it('skips a subscriber that does not read, and destroys it after ten events', async () => {
    const slow = newSubscriber();
    stream.subscribe(slow);
    for (let i = 0; i < 5; i++) tick?.();
    const buffered = slow.writableLength + slow.readableLength;
    for (let i = 0; i < 5; i++) tick?.();
    expect(slow.writableLength + slow.readableLength).toBe(buffered);
    expect(slow.destroyed).toBe(false);
    for (let i = 0; i < 5; i++) tick?.();
    await nextTick();
    expect([slow.destroyed, stream.subscribers]).toEqual([true, 0]);
  });

  it('ends all streams on close, and sends later subscribers a single event', () => {
    const all = [newSubscriber(), newSubscriber()];
    for (const each of all) stream.subscribe(each);
    stream.close();
    expect(all.map(({ writableEnded }) => writableEnded)).toEqual([true, true]);
    const late = newSubscriber();
    stream.subscribe(late);
    expect(late.writableEnded).toBe(true);
    expect([stream.subscribers, tick]).toEqual([0, undefined]);
  });

  it('ignores a subscriber that is destroyed already', () => {
    const destroyed = newSubscriber();
    destroyed.destroy();
    stream.subscribe(destroyed);
    expect([stream.subscribers, reads]).toEqual([0, 0]);
  });

  it('sends a single event and ends the response with sendOnce', () => {
    const once = newSubscriber();
    stream.sendOnce(once);
    expect(read(once)).toBe(`${RETRY}data: 1\n\n`);
    expect([once.writableEnded, stream.subscribers, tick]).toEqual([true, 0, undefined]);
  });
});
