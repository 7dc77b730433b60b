import type { RedisFailure } from './redis-reply.ts';

/** Returns a function that passes the first reply on, or a time-out at the deadline, by `performance.now()`. */
export function untilDeadline<Reply>(
  deadline: number,
  onReply: (reply: Reply | Extract<RedisFailure, { kind: 'timeout' }>) => void,
): (reply: Reply) => void {
  let isEnded = false;
  const end: typeof onReply = (reply) => {
    clearTimeout(timer);
    if (isEnded) return;
    isEnded = true;
    onReply(reply);
  };
  const timer = setTimeout(() => end({ kind: 'timeout' }), Math.max(0, deadline - performance.now()));
  return end;
}
