import { describe, expect, it } from '@jest/globals';
import { ConnectionLimiter } from './connection-limiter.ts';
import { InstanceMemory } from './instance-memory.ts';
import { DURATION_BUCKETS, ReadMetrics } from './read-metrics.ts';

describe('ReadMetrics', () => {
  it('returns the sum over all threads', () => {
    const memory = InstanceMemory.create();
    const [first, second] = [0, 1].map((row) => new ReadMetrics(memory, row));
    first.countRead('http', 'hit');
    second.countRead('http', 'hit');
    second.countRead('http', 'bad-key');
    for (const counts of [first, second]) {
      expect(counts.reads('http', 'hit')).toBe(2);
      expect(counts.reads('http', 'bad-key')).toBe(1);
      expect(counts.reads('http', 'miss')).toBe(0);
    }
  });

  it('adds a duration to the first bucket whose bound it does not exceed', () => {
    const counts = new ReadMetrics(InstanceMemory.create(), 255);
    for (const bound of DURATION_BUCKETS) counts.observeLoad(bound * 1000);
    counts.observeLoad(1e9);
    counts.observeQueue(0);
    expect(counts.loadDurations().buckets).toEqual([...DURATION_BUCKETS, Infinity].map(() => 1));
    expect(counts.loadDurations().sum).toBeCloseTo(1e6 + DURATION_BUCKETS.reduce((sum, bound) => sum + bound, 0));
    expect(counts.queueDurations().buckets[0]).toBe(1);
  });
});

describe('ConnectionLimiter', () => {
  it('limits the connections of all threads together', () => {
    const memory = InstanceMemory.create();
    const [first, second] = [0, 1].map((row) => new ConnectionLimiter(memory, row, 3));
    expect([first.open(), second.open(), first.open(), second.open()]).toEqual([true, true, true, false]);
    first.close();
    expect(second.open()).toBe(true);
    expect(first.total).toBe(3);
  });

  it('subtracts the connections of a crashed thread once', () => {
    const memory = InstanceMemory.create();
    const [first, second] = [0, 1].map((row) => new ConnectionLimiter(memory, row, 3));
    first.open();
    first.open();
    second.open();
    ConnectionLimiter.recoverFrom(memory, 0);
    ConnectionLimiter.recoverFrom(memory, 0);
    expect(second.total).toBe(1);
  });
});
