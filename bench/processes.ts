/** Process statistics from /proc. */
import { readFileSync, readdirSync } from 'node:fs';

/** Kernel clock ticks per second, the unit of /proc/PID/stat. */
const TICKS_PER_S = 100;

/** Returns the CPU time, user and system, that a process has used so far; 0 if it has exited. */
export function cpuSeconds(pid: number): number {
  const fields = statOf(pid);
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** Returns the resident memory of a process in bytes. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Returns the time that a core has spent in processes of all users so far. */
export function coreSeconds(core: number): number {
  const [, user, nice, system] =
    new RegExp(`^cpu${core} (\\d+) (\\d+) (\\d+)`, 'm').exec(readFileSync('/proc/stat', 'utf8')) ?? [];
  return (Number(user) + Number(nice) + Number(system)) / TICKS_PER_S;
}

/** Returns the ids of a process and of all its descendants. */
export function family(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? Number(statOf(pid)?.[1]) : NaN;
    if (Number.isInteger(parent)) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Returns the fields after the name in /proc/PID/stat: state, parent, …; undefined if the process has exited. */
function statOf(pid: number): string[] | undefined {
  try {
    // The name is in parentheses and may contain parentheses itself.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ');
  } catch {
    return undefined;
  }
}
