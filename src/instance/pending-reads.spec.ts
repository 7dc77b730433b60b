import { beforeEach, describe, expect, it } from '@jest/globals';
import { InstanceMemory } from './instance-memory.ts';
import { PendingReads } from './pending-reads.ts';
import { ReadMetrics } from './read-metrics.ts';

let counts: ReadMetrics;
let reads: PendingReads;

beforeEach(() => {
  counts = new ReadMetrics(InstanceMemory.create(), 0);
  reads = new PendingReads('resp', counts);
});

const counted = () => [counts.reads('resp', 'hit'), counts.reads('resp', 'not-found'), counts.failures('resp')];

describe('PendingReads', () => {
  it('counts reads once, after their responses were written', () => {
    reads.hits += 2;
    reads.countRead('resp', 'not-found', 3);
    expect(counted()).toEqual([0, 0, 0]);
    reads.commit();
    reads.commit();
    expect(counted()).toEqual([2, 3, 0]);
  });

  it('counts reads as response failures, not as hits, if writing failed', () => {
    reads.hits += 2;
    reads.countRead('resp', 'not-found', 3);
    reads.discard(4);
    reads.commit();
    expect(counted()).toEqual([0, 0, 9]);
  });

  it('counts published reads once, before the step ends', () => {
    reads.hits += 2;
    reads.countRead('resp', 'not-found', 3);
    reads.publish();
    expect(counted()).toEqual([2, 3, 0]);
    reads.hits++;
    reads.commit();
    expect(counted()).toEqual([3, 3, 0]);
    reads.discard(0);
    expect(counted()).toEqual([3, 3, 1]);
  });

  it('takes published reads back if writing failed, with their commands', () => {
    reads.hits += 2;
    reads.publish();
    reads.countRead('resp', 'not-found', 3);
    reads.publish();
    reads.hits++;
    reads.discard(4);
    reads.commit();
    expect([...counted(), counts.commands]).toEqual([0, 0, 10, 0]);
  });

  it('counts at least one response failure: a request may fail before anything was read', () => {
    reads.discard(0);
    expect(counted()).toEqual([0, 0, 1]);
  });

  it('attributes failures of Upstash’s REST API to the HTTP listener', () => {
    new PendingReads('upstash', counts).countFailure();
    expect([counts.failures('http'), counts.failures('resp')]).toEqual([1, 0]);
  });
});
