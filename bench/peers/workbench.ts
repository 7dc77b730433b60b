import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { family } from '../processes.ts';
import { until } from '../../test/support/processes.ts';
import { type Cores, pinnedTo } from './cores.ts';

const KILL_AFTER_MS = 5000;

/** A server that a contestant has started. */
export interface Server {
  readonly pid: number;
  /** Waits until `probe` succeeds; fails if the server exits. */
  ready(probe: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

/** Starts servers on one core and stores their files. Removes both when this process ends, even if it is killed. */
export class Workbench {
  readonly cores: Cores;
  readonly #folder: string;
  readonly #running = new Set<ChildProcess>();

  constructor(cores: Cores) {
    this.cores = cores;
    // In memory if possible: Varnish maps its log file.
    this.#folder = mkdtempSync(join(writable('/dev/shm') ? '/dev/shm' : tmpdir(), 'bench-peers-'));
    process.once('exit', () => this.#clear());
    for (const [signal, status] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      process.once(signal, () => process.exit(status));
    }
  }

  /** Creates a file; returns its path. */
  file(name: string, content: string | Uint8Array): string {
    const path = join(this.#folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** Creates an empty folder; returns its path. */
  folder(name: string): string {
    const path = join(this.#folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Starts a server on the server core. */
  launch(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Server {
    const [taskset, ...pinned] = pinnedTo(this.cores.server);
    const child = spawn(taskset, [...pinned, command, ...args], {
      cwd: this.#folder,
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
      // Ctrl-C reaches this process only, which stops the servers in order.
      detached: true,
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2000)));
    return this.#watch(child, command, () => errors);
  }

  /** Ensures that a process does not outlive this one. */
  endWithThis(child: ChildProcess): void {
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
  }

  #watch(child: ChildProcess, command: string, errors: () => string): Server {
    const { pid } = child;
    if (pid === undefined) throw new Error(`cannot start ${command}`);
    this.endWithThis(child);
    const guard = this.#guard(pid);
    const ended = once(child, 'close').then(() => guard.kill('SIGKILL'));
    return {
      pid,
      ready: (probe) =>
        until(
          `${command} is ready`,
          async () => {
            if (!this.#running.has(child)) throw new Error(`${command} has exited: ${errors()}`);
            return probe().then(
              () => true,
              () => undefined,
            );
          },
          20_000,
        ).then(() => undefined),
      stop: async () => {
        const all = family(pid);
        child.kill('SIGTERM');
        const force = setTimeout(() => killAll(all), KILL_AFTER_MS);
        await ended;
        clearTimeout(force);
      },
    };
  }

  /** Starts a guard that kills a server if this process is killed, which closes the guard's standard input. */
  #guard(pid: number): ChildProcess {
    const script = 'read -r _; kill -s KILL -- "-$1"; rm -rf -- "$2"';
    const guard = spawn('sh', ['-c', script, 'guard', String(pid), this.#folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    guard.stdin.on('error', () => undefined);
    return guard;
  }

  #clear(): void {
    for (const { pid } of this.#running) if (pid !== undefined) killAll(family(pid));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Whether a command is installed. */
export function installed(command: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command]).status === 0;
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // The process has exited already.
    }
  }
}

function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
