import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Numbers of the CPU cores of a run. */
export interface Cores {
  /** Runs the contestants. */
  readonly server: number;
  /** Runs this process and the load generators. */
  readonly load: number;
  /** Whether the two are hardware threads of one physical core, which slow each other down. */
  readonly siblings: boolean;
}

/** Chooses two cores that this process may use; returns undefined if there is only one. */
export function chooseCores(): Cores | undefined {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [server, ...others] = parseList(/^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1] ?? '0');
  if (others.length === 0) return undefined;
  const siblings = siblingsOf(server);
  const apart = others.find((core) => !siblings.includes(core));
  return { server, load: apart ?? others[0], siblings: apart === undefined };
}

/** Returns the prefix of a command line that pins the command to a core. */
export function pinnedTo(core: number): [string, ...string[]] {
  return ['taskset', '-c', String(core)];
}

/** Pins all threads of this process to a core. */
export function pinSelf(core: number): void {
  const { status, stderr } = spawnSync('taskset', ['-a', '-c', '-p', String(core), String(process.pid)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`taskset: ${stderr}`);
}

function siblingsOf(core: number): number[] {
  try {
    return parseList(readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, 'utf8').trim());
  } catch {
    return [];
  }
}

/** Parses a list of numbers such as `0-3,8`. */
function parseList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
