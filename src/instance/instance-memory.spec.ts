import { expect, it } from '@jest/globals';
import { ClientTrackingCounts } from './counts/client-tracking-counts.ts';
import { CoherenceCounts } from './counts/coherence-counts.ts';
import { InstanceMemory, RowCount } from './instance-memory.ts';
import { ReadMetrics } from './read-metrics.ts';
import { SUPERVISOR_ROW } from './thread-context.ts';

it('counters of different kinds have places of their own, also in the row of the supervisor', () => {
  const memory = InstanceMemory.create();
  const coherence = new CoherenceCounts(memory);
  coherence.countInvalidation();
  coherence.countFlush();
  coherence.countLoss(1);
  coherence.countPurge();
  coherence.countIgnoredPurge();
  coherence.countSubscriptionLoss();
  coherence.isSubscribed = true;
  expect(memory.total(RowCount.HELD_BYTES)).toBe(0);
  const tracking = new ClientTrackingCounts(memory, SUPERVISOR_ROW);
  expect([tracking.pushes, tracking.disconnections]).toEqual([0, 0]);
  const reads = new ReadMetrics(memory, SUPERVISOR_ROW);
  expect([reads.loads, reads.loadErrors, reads.refreshes('started'), reads.commands]).toEqual([0, 0, 0, 0]);

  tracking.countPush();
  tracking.countDisconnection();
  reads.countCommands(1);
  expect(memory.total(RowCount.HELD_BYTES)).toBe(0);
  expect([coherence.invalidations, coherence.flushes, coherence.losses, coherence.lastLoss]).toEqual([1, 1, 1, 1]);
  expect([coherence.purges, coherence.ignoredPurges, coherence.subscriptionLosses]).toEqual([1, 1, 1]);
  expect([reads.loads, reads.commands, tracking.pushes, tracking.disconnections]).toEqual([0, 1, 1, 1]);
});
