import type { ReadPlan } from '../../redis-commands/read-plan.ts';
import type { Reply } from '../protocol/reply.ts';

/** The reply to what a plan reads, once it has been read; what cannot be kept until its turn has come is read again. */
export async function whenRead(plan: ReadPlan, read: Promise<void>, write: () => void): Promise<Reply> {
  await read;
  return Object.assign(() => write(), {
    values: plan.values,
    drop: () => plan.drop(),
    again: () => whenRead(plan, plan.readAgain(), write),
  });
}
