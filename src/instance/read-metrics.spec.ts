import { describe, expect, it } from '@jest/globals';
import { ConnectionLimiter } from './connection-limiter.ts';
import { InstanceMemory } from './instance-memory.ts';
import { DURATION_BUCKETS, ReadMetrics } from './read-metrics.ts';

describe('what threads count', () => {
  it('is added up by whoever asks', () => {
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

  it('puts durations into the bucket whose bound they do not exceed', () => {
    const counts = new ReadMetrics(InstanceMemory.create(), 255);
    for (const bound of DURATION_BUCKETS) counts.observeLoad(bound * 1000);
    counts.observeLoad(1e9);
    counts.observeQueue(0);
    expect(counts.loadDurations().buckets).toEqual([...DURATION_BUCKETS, Infinity].map(() => 1));
    expect(counts.loadDurations().sum).toBeCloseTo(1e6 + DURATION_BUCKETS.reduce((sum, bound) => sum + bound, 0));
    expect(counts.queueDurations().buckets[0]).toBe(1);
  });
});

describe('connections', () => {
  it('are bounded for all threads together', () => {
    const memory = InstanceMemory.create();
    const [first, second] = [0, 1].map((row) => new ConnectionLimiter(memory, row, 3));
    expect([first.open(), second.open(), first.open(), second.open()]).toEqual([true, true, true, false]);
    first.close();
    expect(second.open()).toBe(true);
    expect(first.total).toBe(3);
  });

  it('of a thread that died are gone', () => {
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
