import type { ReadPlan } from '../../redis-commands/read-plan.ts';
import type { Reply } from '../protocol/reply.ts';

/** Resolves to the reply once the plan's keys have been read. Values discarded before it is written are read again. */
export async function whenRead(plan: ReadPlan, read: Promise<void>, write: () => void): Promise<Reply> {
  await read;
  return Object.assign(() => write(), {
    values: plan.values,
    drop: () => plan.discardValues(),
    again: () => whenRead(plan, plan.readAgain(), write),
  });
}
