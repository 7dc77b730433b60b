import { totalmem } from 'node:os';
import type { Environment } from './environment/environment.ts';
import type { Settings } from './settings.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

/**
 * Resident bytes that are planned for the process without threads, cache and clients, and for one thread under load. Idle they are 68
 * and 26 MiB. Most is taken by requests for many keys and by thousands of loads in flight, and V8 and the allocator keep
 * it for the next ones: docs/operations.md has the measurements.
 */
const PROCESS_BYTES = 200 * MiB;
const THREAD_BYTES = 150 * MiB;
/** Bytes of a client connection, including its kernel buffers. */
const CONNECTION_BYTES = 32 * KiB;
/**
 * Bytes of shared memory for each entry and for each cached byte, including their index. Those of queries other than GET have up
 * to 32 bytes more, in lists that are resident only as far as there are such queries.
 */
const ENTRY_BYTES = 200;
const BYTES_PER_CACHED_BYTE = 1.0625;
/** Bytes for each load that may be in flight or queued, and the number of loads reserved for multi-key requests. */
const LEASE_BYTES = 480;
const LEASES_FOR_MANY = 10_000;
/** The share of the memory limit that the process and its threads may use by default. */
const THREADS_SHARE = 2 / 3;
/** The shares of the remaining memory for buffers and for connections by default. */
const BUFFERS_SHARE = 1 / 4;
const CONNECTIONS_SHARE = 1 / 4;

/** Minimums for a small memory limit: a value longer than the buffers could not be read at all. */
const MIN_BUFFERS_BYTES = 16 * MiB;
const MIN_CACHE_BYTES = 8 * MiB;

/** The settings whose defaults depend on the memory limit. */
type Fitted = 'PROXY_THREADS' | 'CACHE_MAX_BYTES' | 'PROXY_MAX_BUFFERED_BYTES';

/** Values that replace defaults. */
type FittedValues = Partial<Readonly<Record<Fitted, number>>>;

/**
 * Returns the memory limit of this process in bytes: that of its control group, or the memory of the machine. Without a
 * limit, Node.js reports 0 or a number greater than the memory, depending on the version of control groups.
 */
export function memoryLimit(constrained = process.constrainedMemory(), machine = totalmem()): number {
  return constrained > 0 && constrained < machine ? constrained : machine;
}

/**
 * Returns smaller values for the settings that are not set and whose defaults exceed the memory limit. Values do not go
 * below a useful minimum; if that exceeds the limit as well, {@link memoryWarning} says so.
 *
 * @param values the settings, with their defaults.
 * @param limit the memory limit in bytes.
 */
export function fitToMemory(values: Environment, isSet: (name: Fitted) => boolean, limit: number): FittedValues {
  const fitted: { -readonly [Name in Fitted]?: number } = {};
  const fit = (name: Fitted, atMost: number, unit: number, least: number): number => {
    if (isSet(name)) return values[name];
    const value = Math.min(values[name], Math.max(least, Math.floor(atMost / unit) * unit));
    if (value < values[name]) fitted[name] = value;
    return value;
  };
  const threads = fit('PROXY_THREADS', (limit * THREADS_SHARE - PROCESS_BYTES) / THREAD_BYTES, 1, 1);
  const running = values.PROXY_MODE === 'sequential' ? 1 : threads;
  const rest = Math.max(0, limit - PROCESS_BYTES - running * THREAD_BYTES);
  const buffers = fit('PROXY_MAX_BUFFERED_BYTES', rest * BUFFERS_SHARE, MiB, MIN_BUFFERS_BYTES);
  const connections = Math.min(values.PROXY_MAX_CONNECTIONS * CONNECTION_BYTES, rest * CONNECTIONS_SHARE);
  const loads = values.PROXY_MAX_CONCURRENT_LOADS + values.PROXY_MAX_QUEUED_LOADS;
  const cache = rest - buffers - connections - cacheOverhead(values.CACHE_CAPACITY, loads);
  fit('CACHE_MAX_BYTES', cache / BYTES_PER_CACHED_BYTE, MiB, MIN_CACHE_BYTES);
  return fitted;
}

/** Returns the log line with the defaults that were reduced to fit the memory limit. */
export function fittedNotice(fitted: FittedValues, limit: number): string | undefined {
  const values = Object.entries(fitted).map(([name, value]) => `${name}=${value}`);
  return values.length === 0
    ? undefined
    : `defaults reduced to fit the memory limit of ${inMiB(limit)} MiB: ${values.join(', ')}`;
}

type Sized = Pick<Settings, 'cache' | 'proxy'>;

/** Returns the maximum memory of an instance with these settings in bytes. */
export function memoryNeeded(settings: Sized): number {
  return sharesOf(settings).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Returns a warning with the numbers if these settings may need more than the memory limit in bytes. */
export function memoryWarning(settings: Sized, limit: number): string | undefined {
  const needed = memoryNeeded(settings);
  if (needed <= limit) return undefined;
  const shares = sharesOf(settings).map(({ what, bytes, named }) => `${what} ${inMiB(bytes)}${named}`);
  return `the settings allow ${inMiB(needed)} MiB of memory, more than the memory limit of ${inMiB(limit)} MiB: ${shares.join(' + ')}`;
}

/** A share of the maximum memory of an instance, and the settings that determine it. */
interface Share {
  readonly what: string;
  readonly bytes: number;
  readonly named: string;
}

function sharesOf({ cache, proxy }: Sized): readonly Share[] {
  const cacheBytes =
    cache.maxBytes * BYTES_PER_CACHED_BYTE +
    cacheOverhead(cache.capacity, proxy.maxConcurrentLoads + proxy.maxQueuedLoads);
  return [
    { what: 'process', bytes: PROCESS_BYTES, named: '' },
    { what: 'threads', bytes: proxy.threads * THREAD_BYTES, named: ` (PROXY_THREADS=${proxy.threads})` },
    {
      what: 'cache',
      bytes: cacheBytes,
      named: ` (CACHE_MAX_BYTES=${cache.maxBytes}, CACHE_CAPACITY=${cache.capacity})`,
    },
    {
      what: 'connections',
      bytes: proxy.maxConnections * CONNECTION_BYTES,
      named: ` (PROXY_MAX_CONNECTIONS=${proxy.maxConnections})`,
    },
    {
      what: 'buffers',
      bytes: proxy.maxBufferedBytes,
      named: ` (PROXY_MAX_BUFFERED_BYTES=${proxy.maxBufferedBytes})`,
    },
  ];
}

/** Returns the bytes of the cache in addition to those of keys and values. */
function cacheOverhead(capacity: number, loads: number): number {
  return ENTRY_BYTES * capacity + LEASE_BYTES * (loads + LEASES_FOR_MANY);
}

function inMiB(bytes: number): number {
  return Math.round(bytes / MiB);
}
