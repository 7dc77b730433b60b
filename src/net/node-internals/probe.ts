import { directWrite, probeDirectWrite } from './direct-write.ts';
import { probeSharedRead, sharedRead } from './shared-read.ts';

export const NODE_PARTS = [directWrite, sharedRead];

/** Uses those private parts of Node.js in this thread that behave as needed; never rejects. */
export async function probeNodeInternals(): Promise<void> {
  await Promise.all([probeDirectWrite(), probeSharedRead()]);
}
