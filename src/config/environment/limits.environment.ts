import { availableParallelism } from 'node:os';
import { PROXY_MODES } from '../settings.ts';
import { EnumSetting, IntegerSetting } from './setting.decorators.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** More threads do not help, since they share one cache. */
const MAX_THREADS = 128;

export class LimitsEnvironment {
  @EnumSetting({
    default: 'parallel',
    values: PROXY_MODES,
    meaning: 'parallel: several threads; sequential: one thread, one request at a time',
  })
  PROXY_MODE!: (typeof PROXY_MODES)[number];

  @IntegerSetting({
    default: Math.min(availableParallelism(), MAX_THREADS),
    defaultText: 'the number of cores, or what fits in the memory limit',
    min: 1,
    max: MAX_THREADS,
    meaning: 'worker threads, in parallel mode',
  })
  PROXY_THREADS!: number;

  @IntegerSetting({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    meaning: 'maximum client connections; further ones get a 503, except health probes',
  })
  PROXY_MAX_CONNECTIONS!: number;

  @IntegerSetting({
    default: 511,
    min: 1,
    max: 65_535,
    meaning: 'maximum connections in the accept queue of the kernel, for all threads',
  })
  PROXY_BACKLOG!: number;

  @IntegerSetting({
    default: 256,
    min: 1,
    max: 65_536,
    meaning: 'maximum Redis reads in flight, for all threads',
  })
  PROXY_MAX_CONCURRENT_LOADS!: number;

  @IntegerSetting({
    default: 10_000,
    min: 0,
    max: 1_000_000,
    meaning: 'maximum Redis reads queued, for all threads; further ones get a 503',
  })
  PROXY_MAX_QUEUED_LOADS!: number;

  @IntegerSetting({
    default: 256 * MiB,
    defaultText: '268435456, or what fits in the memory limit',
    min: MiB,
    max: 64 * GiB,
    meaning:
      'maximum bytes of values and responses in memory that no client has received yet, for all threads; Redis reads wait at the limit',
  })
  PROXY_MAX_BUFFERED_BYTES!: number;
}
