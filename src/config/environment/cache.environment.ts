import { COHERENCE_MODES, HOT_KEYS_STATES } from '../settings.ts';
import { BooleanSetting, EnumSetting, FractionSetting, IntegerSetting, TextSetting } from './setting.decorators.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;
const YEAR_MS = 366 * 24 * 3_600_000;

export class CacheEnvironment {
  @IntegerSetting({
    default: 10_000,
    min: 0,
    max: 50_000_000,
    meaning: 'maximum number of cached keys, exact; 0: nothing is cached',
  })
  CACHE_CAPACITY!: number;

  @IntegerSetting({
    default: 256 * MiB,
    defaultText: '268435456, or what fits in the memory limit',
    min: 1,
    max: 64 * GiB,
    meaning: 'maximum bytes of cached keys and values; reaching either limit evicts',
  })
  CACHE_MAX_BYTES!: number;

  @IntegerSetting({
    default: MiB,
    min: 0,
    max: 512 * MiB,
    meaning: 'maximum bytes of a cached value; a larger value is served, not cached',
  })
  CACHE_MAX_VALUE_BYTES!: number;

  @IntegerSetting({
    default: 60_000,
    min: 1,
    max: YEAR_MS,
    meaning: 'global expiry: milliseconds after which an entry expires',
  })
  CACHE_TTL_MS!: number;

  @FractionSetting({
    default: 0,
    min: 0,
    max: 0.5,
    meaning:
      'maximum share by which the TTL of each entry is shortened at random, so that entries do not expire together',
  })
  CACHE_TTL_JITTER!: number;

  @IntegerSetting({
    default: 0,
    min: 0,
    max: YEAR_MS,
    meaning: 'milliseconds for which the absence of a key is cached; 0: not at all',
  })
  CACHE_NEGATIVE_TTL_MS!: number;

  @IntegerSetting({
    default: 0,
    min: 0,
    max: YEAR_MS,
    meaning: 'milliseconds for which an expired value may be served while Redis is unavailable; 0: not at all',
  })
  CACHE_STALE_IF_ERROR_MS!: number;

  @IntegerSetting({
    default: 0,
    min: 0,
    max: YEAR_MS,
    meaning: 'milliseconds for which an expired value is served at once while one load refreshes it; 0: not at all',
  })
  CACHE_STALE_WHILE_REVALIDATE_MS!: number;

  @FractionSetting({
    default: 0,
    min: 0,
    max: 0.9,
    meaning: 'last share of its TTL in which an entry that is read is refreshed in the background; 0: not at all',
  })
  CACHE_REFRESH_AHEAD!: number;

  @BooleanSetting({
    default: true,
    meaning:
      "an entry never outlives its key's own TTL in Redis, even when stale; false: that TTL is neither read nor applied",
  })
  CACHE_RESPECT_KEY_TTL!: boolean;

  @EnumSetting({
    default: 'ttl',
    values: COHERENCE_MODES,
    meaning: 'ttl: entries expire with time alone; tracking: Redis also invalidates them on each write',
  })
  CACHE_COHERENCE!: (typeof COHERENCE_MODES)[number];

  @TextSetting({
    accepted: 'the name of a channel, without line breaks',
    meaning: 'Redis pub/sub channel on which messages purge keys: a key, prefix:… or pattern:…; unset: none',
  })
  CACHE_PURGE_CHANNEL?: string;

  @TextSetting({
    accepted: 'the path of a file',
    meaning:
      'file for the keys in use: written at shutdown, loaded again in the background after the start; unset: none',
  })
  CACHE_WARMUP_FILE?: string;

  @IntegerSetting({
    default: 0,
    min: 0,
    max: 3_600_000,
    meaning:
      'maximum milliseconds that readiness waits for the keys in CACHE_WARMUP_FILE; they are loaded evenly within it',
  })
  CACHE_WARMUP_WAIT_MS!: number;

  @EnumSetting({
    default: 'on',
    values: HOT_KEYS_STATES,
    meaning: 'on: the keys read most in the last minute are counted, for GET /v1/cache/hot-keys and the dashboard',
  })
  CACHE_HOT_KEYS!: (typeof HOT_KEYS_STATES)[number];
}
