import { PassThrough } from 'node:stream';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { EventStream } from './event-stream.ts';

const RETRY = 'retry: 1000\n\n';

/** A listener that reads nothing unless it is told to. */
function listener(): PassThrough {
  return new PassThrough({ highWaterMark: 1 });
}

function read(stream: PassThrough): string {
  return (stream.read() as Buffer | null)?.toString() ?? '';
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('an event stream', () => {
  let reads: number;
  let tick: (() => void) | undefined;
  let stream: EventStream;

  beforeEach(() => {
    reads = 0;
    tick = undefined;
    stream = new EventStream({
      read: () => String(++reads),
      most: 2,
      every: (call) => {
        tick = call;
        return () => (tick = undefined);
      },
    });
  });

  it('tells each listener at once, and all of them the same from then on', () => {
    const [a, b] = [listener(), listener()];
    stream.open(a);
    expect(read(a)).toBe(`${RETRY}data: 1\n\n`);
    stream.open(b);
    expect(read(b)).toBe(`${RETRY}data: 2\n\n`);
    tick?.();
    expect([read(a), read(b)]).toEqual(['data: 3\n\n', 'data: 3\n\n']);
  });

  it('reads nothing, and has no timer, while nobody listens', async () => {
    expect([tick, reads]).toEqual([undefined, 0]);
    const only = listener();
    stream.open(only);
    only.destroy();
    await settled();
    expect([stream.listeners, tick, reads]).toEqual([0, undefined, 1]);
  });

  it('has a bound, and room again when somebody has gone', async () => {
    const all = [listener(), listener()];
    expect(stream.full).toBe(false);
    for (const each of all) stream.open(each);
    expect(stream.full).toBe(true);
    all[0].destroy();
    await settled();
    expect([stream.full, stream.listeners]).toEqual([false, 1]);
    expect(tick).toBeDefined();
  });

  it('sends nothing to who does not read, and cuts him off in the end', async () => {
    const lazy = listener();
    stream.open(lazy);
    for (let i = 0; i < 5; i++) tick?.();
    const kept = lazy.writableLength + lazy.readableLength;
    for (let i = 0; i < 5; i++) tick?.();
    expect(lazy.writableLength + lazy.readableLength).toBe(kept);
    expect(lazy.destroyed).toBe(false);
    for (let i = 0; i < 5; i++) tick?.();
    await settled();
    expect([lazy.destroyed, stream.listeners]).toEqual([true, 0]);
  });

  it('ends all streams when it is closed, and later ones after an event', () => {
    const all = [listener(), listener()];
    for (const each of all) stream.open(each);
    stream.close();
    expect(all.map(({ writableEnded }) => writableEnded)).toEqual([true, true]);
    const late = listener();
    stream.open(late);
    expect(late.writableEnded).toBe(true);
    expect([stream.listeners, tick]).toEqual([0, undefined]);
  });

  it('does not listen to who has gone already', () => {
    const gone = listener();
    gone.destroy();
    stream.open(gone);
    expect([stream.listeners, reads]).toEqual([0, 0]);
  });

  it('can tell one event alone', () => {
    const once = listener();
    stream.once(once);
    expect(read(once)).toBe(`${RETRY}data: 1\n\n`);
    expect([once.writableEnded, stream.listeners, tick]).toEqual([true, 0, undefined]);
  });
});
