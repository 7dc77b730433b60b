import { BufferedBytes } from './buffered-bytes.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';

const MAX_THREADS = 4;

/** Creates the buffered-bytes account of one thread of an instance; `maxBufferedBytes` is the limit of all threads. */
export function bufferedBytes(
  instance = InstanceMemory.create(),
  row = 0,
  maxBufferedBytes = 2 ** 28,
  clock = () => performance.now(),
): BufferedBytes {
  const limits = { maxBufferedBytes, threads: MAX_THREADS, maxQueuedLoads: 100 };
  return new BufferedBytes(instance, row, limits, clock);
}
