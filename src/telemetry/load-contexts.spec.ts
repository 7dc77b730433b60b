import { describe, expect, it } from '@jest/globals';
import { LoadContexts } from './load-contexts.ts';

const context = (digit: string) => ({ traceId: digit.repeat(32), spanId: digit.repeat(16), traceFlags: 1 });
const lease = (slot: number, version: number) => ({ slot, version, epoch: 0 });

describe('LoadContexts', () => {
  it('finds the context of a load that another thread has published, by its lease alone', () => {
    const memory = new SharedArrayBuffer(8 * 8 * 4);
    const [one, other] = [new LoadContexts(new Int32Array(memory)), new LoadContexts(new Int32Array(memory))];
    expect(one.find(lease(3, 0))).toBeUndefined();
    one.publish(lease(3, 0), context('a'));
    one.publish(lease(4, -2), context('f'));
    expect(other.find(lease(3, 0))).toEqual(context('a'));
    expect(other.find(lease(4, -2))).toEqual(context('f'));
    expect(other.find(lease(3, 2))).toBeUndefined();
    expect(other.find(lease(11, 0))).toBeUndefined();
  });

  it('has the latest load of each row', () => {
    const contexts = new LoadContexts(new Int32Array(new SharedArrayBuffer(8 * 8 * 4)));
    contexts.publish(lease(3, 0), context('a'));
    contexts.publish(lease(11, 6), context('b'));
    expect(contexts.find(lease(3, 0))).toBeUndefined();
    expect(contexts.find(lease(11, 6))).toEqual(context('b'));
  });
});
