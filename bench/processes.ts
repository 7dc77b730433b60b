/** What the kernel tells about processes, in /proc. */
import { readFileSync, readdirSync } from 'node:fs';

/** Kernel clock ticks per second, the unit of /proc/PID/stat. */
const TICKS_PER_S = 100;

/** CPU time, user and system, that a process has used so far; 0 when it has ended. */
export function cpuSeconds(pid: number): number {
  const fields = statOf(pid);
  return fields === undefined ? 0 : (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

/** Bytes of memory that a process has resident. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Time that a core has spent in processes so far, whoever they belong to. */
export function coreSeconds(core: number): number {
  const [, user, nice, system] =
    new RegExp(`^cpu${core} (\\d+) (\\d+) (\\d+)`, 'm').exec(readFileSync('/proc/stat', 'utf8')) ?? [];
  return (Number(user) + Number(nice) + Number(system)) / TICKS_PER_S;
}

/** The process and all that descend from it. */
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

/** What follows the name in /proc/PID/stat: state, parent, …; undefined when the process has ended. */
function statOf(pid: number): string[] | undefined {
  try {
    // The name stands in parentheses and may hold some itself.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ');
  } catch {
    return undefined;
  }
}
