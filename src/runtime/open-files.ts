import { readFileSync } from 'node:fs';
import type { Settings } from '../config/settings.ts';
import { MAX_OPS_CONNECTIONS } from '../http/server/ops-listener.ts';

/** Files that the process and each thread keep open: listeners, event loops, connections to Redis. */
const PROCESS_FILES = 50;
const THREAD_FILES = 25;

/**
 * Returns the number of files that this process may open (the soft RLIMIT_NOFILE, which Node.js raises to the hard limit
 * at start); undefined if /proc is absent.
 */
export function openFilesLimit(limits = readLimits()): number | undefined {
  const limit = /^Max open files +(\d+|unlimited)/m.exec(limits)?.[1];
  if (limit === undefined) return undefined;
  return limit === 'unlimited' ? Infinity : Number(limit);
}

/** Returns a warning if the limit of open files is lower than the connections that the settings allow. */
export function openFilesWarning(
  { proxy, ops }: Pick<Settings, 'proxy' | 'ops'>,
  limit = openFilesLimit(),
): string | undefined {
  const forOps = ops.port === undefined ? 0 : MAX_OPS_CONNECTIONS;
  const own = PROCESS_FILES + THREAD_FILES * proxy.threads + forOps;
  if (limit === undefined || proxy.maxConnections + own <= limit) return undefined;
  const advice = `raise it (ulimit -n), or set PROXY_MAX_CONNECTIONS to ${Math.max(1, limit - own)}`;
  return `PROXY_MAX_CONNECTIONS=${proxy.maxConnections} and ${own} files of the proxy's own exceed the limit of ${limit} open files (RLIMIT_NOFILE): connections beyond it are not accepted; ${advice}`;
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return '';
  }
}
