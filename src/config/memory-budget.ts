import { totalmem } from 'node:os';
import type { Environment } from './environment/environment.ts';
import type { Settings } from './settings.ts';

const KiB = 2 ** 10;
const MiB = 2 ** 20;

/** Resident bytes of the process without threads, cache and clients, and of one thread at work; measured. */
const PROCESS_BYTES = 100 * MiB;
const THREAD_BYTES = 100 * MiB;
/** Bytes of a client's connection, the buffers of the kernel included. */
const CONNECTION_BYTES = 32 * KiB;
/** Bytes of shared memory for each entry, and for each byte of keys and values: what finds them. */
const ENTRY_BYTES = 200;
const BYTES_PER_CACHED_BYTE = 1.0625;
/** Bytes for each load that may be in flight or queued, and for those of requests for many keys. */
const LEASE_BYTES = 480;
const LEASES_FOR_MANY = 10_000;
/** The share of a limit that process and threads may take by default. */
const THREADS_SHARE = 2 / 3;
/** The shares of the rest that buffers may take by default, and that is left for connections. */
const BUFFERS_SHARE = 1 / 4;
const CONNECTIONS_SHARE = 1 / 4;

/** The least that is left where nothing fits: a longer value than the buffers hold could not be read at all. */
const MIN_BUFFERS_BYTES = 16 * MiB;
const MIN_CACHE_BYTES = 8 * MiB;

/** The settings that follow from the memory there is, where they are not set. */
type Fitted = 'PROXY_THREADS' | 'CACHE_MAX_BYTES' | 'PROXY_MAX_BUFFERED_BYTES';

/** The values that replace the defaults of settings. */
type FittedValues = Partial<Readonly<Record<Fitted, number>>>;

/**
 * Returns the bytes that this process may use: the limit of its control group, or the memory of the machine. Where there
 * is no limit, Node.js reports 0 or a number beyond all memory, depending on the version of control groups.
 */
export function memoryLimit(constrained = process.constrainedMemory(), machine = totalmem()): number {
  return constrained > 0 && constrained < machine ? constrained : machine;
}

/**
 * Returns what fits in a memory limit of so many bytes, for the settings that are not set and whose defaults do not fit;
 * never less than a proxy is of use with, which the warning shows not to fit.
 *
 * @param values the settings, with their defaults.
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

/** Returns the line that tells which defaults are smaller than usual because of the memory limit. */
export function fittedNotice(fitted: FittedValues, limit: number): string | undefined {
  const values = Object.entries(fitted).map(([name, value]) => `${name}=${value}`);
  return values.length === 0 ? undefined : `defaults that fit in ${inMiB(limit)} MiB of memory: ${values.join(', ')}`;
}

type Sized = Pick<Settings, 'cache' | 'proxy'>;

/** Returns the memory in bytes that an instance may come to hold with these settings. */
export function memoryNeeded(settings: Sized): number {
  return sharesOf(settings).reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Returns the warning that these settings may need more than a memory limit of so many bytes, with the numbers. */
export function memoryWarning(settings: Sized, limit: number): string | undefined {
  const needed = memoryNeeded(settings);
  if (needed <= limit) return undefined;
  const shares = sharesOf(settings).map(({ what, bytes, named }) => `${what} ${inMiB(bytes)}${named}`);
  return `the proxy may come to need ${inMiB(needed)} MiB, the memory limit is ${inMiB(limit)} MiB: ${shares.join(' + ')}`;
}

/** A share of the memory that an instance may come to hold, and the settings that it follows from. */
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

/** Bytes of the cache beside those of keys and values. */
function cacheOverhead(capacity: number, loads: number): number {
  return ENTRY_BYTES * capacity + LEASE_BYTES * (loads + LEASES_FOR_MANY);
}

function inMiB(bytes: number): number {
  return Math.round(bytes / MiB);
}
