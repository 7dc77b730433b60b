import type { ReadPlan } from '../../redis-commands/read-plan.ts';
import type { Client } from '../server/client.ts';
import type { Reply } from '../protocol/reply.ts';
import type { Replied } from './resp-command.ts';

/**
 * Reads the plan's keys, and writes the reply at once if all are cached and it is next to be sent. Behind other replies it must be
 * one that can be dropped: a read that they wait for could wait for the memory of its values.
 */
export function replyWith(plan: ReadPlan, client: Client, write: () => void): Replied {
  const read = plan.read();
  if (read !== undefined) return read.then(() => replyOf(plan, write));
  return client.hasQueuedReplies ? replyOf(plan, write) : write();
}

/** Returns the reply, once the plan's keys have been read. Values discarded before it is written are read again. */
function replyOf(plan: ReadPlan, write: () => void): Reply {
  return Object.assign(() => write(), {
    values: plan.values,
    drop: () => plan.discardValues(),
    again: () => plan.readAgain().then(() => replyOf(plan, write)),
  });
}
