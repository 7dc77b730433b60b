import { BufferedBytes } from './buffered-bytes.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';

const MAX_THREADS = 4;

/** What a thread of an instance has buffered, of `maxBufferedBytes` for all threads. */
export function bufferedBytes(instance = InstanceMemory.create(), row = 0, maxBufferedBytes = 2 ** 28): BufferedBytes {
  const limits = { maxBufferedBytes, threads: MAX_THREADS, maxQueuedLoads: 100 };
  return new BufferedBytes(instance, row, limits, () => performance.now());
}
