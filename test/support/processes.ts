import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the time-out of a test, so that a failure names the condition. */
const DEADLINE_MS = 60_000;
const KILL_AFTER_MS = 30_000;
/**
 * Below the ephemeral ports of Linux, macOS and Windows: another process could be assigned one of those before it is first
 * used, or while its server restarts.
 */
const PORTS = [10_000, 32_000] as const;
/** Ports that this process has returned: a server that a test has stopped for a while must find its port free. */
const returned = new Set<number>();

/**
 * Finds a port of 127.0.0.1 without a listener. No two workers of Jest that run side by side return the same one, as long
 * as there are eight at most.
 */
export async function freePort(): Promise<number> {
  const share = (PORTS[1] - PORTS[0]) / 8;
  const first = PORTS[0] + (Number(process.env.JEST_WORKER_ID ?? 0) % 8) * share;
  for (;;) {
    const port = randomInt(first, first + share);
    if (returned.has(port)) continue;
    returned.add(port);
    const server = createServer().listen(port, '127.0.0.1');
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/**
 * Calls `check` until its result is not undefined, after pauses of a twentieth of the time that it has taken, 10 to 50 ms. The
 * time-out allows for a busy machine; it is not part of a promise.
 */
export async function until<T>(
  condition: string,
  check: () => T | undefined | Promise<T | undefined>,
  ms = DEADLINE_MS,
): Promise<T> {
  const start = Date.now();
  for (;;) {
    const result = await check();
    if (result !== undefined) return result;
    const waited = Date.now() - start;
    if (waited > ms) throw new Error(`not within ${ms} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(50, Math.max(10, waited / 20))));
  }
}

/** A process that a test has started, with its output. */
export class Child {
  readonly process: ChildProcess;
  output = '';
  errors = '';
  readonly exit: Promise<number | null>;

  constructor(
    command: string,
    args: readonly string[],
    options: { env?: NodeJS.ProcessEnv; cwd?: string; ipc?: boolean },
  ) {
    this.process = spawn(command, args, {
      env: options.env,
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe', ...(options.ipc ? (['ipc'] as const) : [])],
    });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.errors += text));
    const watch = guard(this.process.pid);
    this.exit = once(this.process, 'close').then(async ([code]) => {
      // Otherwise Jest, which waits for children for half a second only, might find one on a busy machine.
      const gone = once(watch, 'exit');
      watch.kill('SIGKILL');
      await gone;
      return code as number | null;
    });
  }

  /** Waits until its output contains `text`, which may arrive later than a response that was sent after it. */
  async printed(text: string): Promise<void> {
    await until(`"${text}" in the output`, () => this.output.includes(text) || undefined);
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  signal(name: NodeJS.Signals): void {
    this.process.kill(name);
  }

  /** Sends `signal`, and SIGKILL if the process does not end in time. Resolves with its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.running) {
      this.signal('SIGCONT');
      this.signal(signal);
      const force = setTimeout(() => this.signal('SIGKILL'), KILL_AFTER_MS);
      await this.exit;
      clearTimeout(force);
    }
    return this.exit;
  }
}

/** Kills a process if the tests are killed, which closes the guard's standard input. */
function guard(pid: number | undefined): ChildProcess {
  const child = spawn('sh', ['-c', 'read -r _; kill -KILL "$1"', 'guard', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  return child;
}
