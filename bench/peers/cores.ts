import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The CPU cores of a run, by the kernel's numbers. */
export interface Cores {
  /** Runs what is measured. */
  readonly server: number;
  /** Runs what measures: this process, and the load generators. */
  readonly load: number;
  /** Whether the two are halves of one physical core, which slow each other down. */
  readonly siblings: boolean;
}

/** Two cores that this process may use; undefined when it has only one. */
export function chooseCores(): Cores | undefined {
  const status = readFileSync('/proc/self/status', 'utf8');
  const [server, ...others] = parseList(/^Cpus_allowed_list:\s+(\S+)$/m.exec(status)?.[1] ?? '0');
  if (others.length === 0) return undefined;
  const siblings = siblingsOf(server);
  const apart = others.find((core) => !siblings.includes(core));
  return { server, load: apart ?? others[0], siblings: apart === undefined };
}

/** The words before a command that make it run on one core. */
export function pinnedTo(core: number): [string, ...string[]] {
  return ['taskset', '-c', String(core)];
}

/** Moves this process, all its threads, to a core. */
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

/** The numbers in a list such as `0-3,8`. */
function parseList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
