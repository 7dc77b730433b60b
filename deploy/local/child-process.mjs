import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';

/**
 * A child process in a process group of its own, so that Ctrl-C in the terminal reaches the parent alone, which then stops
 * its children one after the other.
 */
export class ChildProcess {
  #process;
  #guard;

  /** Resolves when the process has exited: `{ code, signal }`, or `{ error }` if it could not be started. */
  ended;

  /** @param {import('node:child_process').SpawnOptions & { scratchFolder?: string }} options */
  constructor(program, parameters, { scratchFolder = '', ...options } = {}) {
    this.#process = spawn(program, parameters, { ...options, detached: true });
    this.#guard = this.#process.pid && guard(this.#process.pid, scratchFolder);
    this.ended = this.#end();
  }

  /** The streams of its standard output and error, if they are pipes. */
  get outputs() {
    return [this.#process.stdout, this.#process.stderr];
  }

  /** Sends SIGTERM, and SIGKILL after `graceMs` milliseconds; resolves when the process has exited. */
  async stop(graceMs) {
    this.#process.kill('SIGTERM');
    const timeout = setTimeout(() => this.#process.kill('SIGKILL'), graceMs);
    await this.ended;
    clearTimeout(timeout);
  }

  async #end() {
    try {
      const [code, signal] = await once(this.#process, 'exit');
      return { code, signal };
    } catch (error) {
      return { error };
    } finally {
      this.#guard?.kill('SIGKILL');
    }
  }
}

/**
 * Starts a shell that terminates a process and removes its folder if this process is killed (`kill -9`): its exit closes the
 * standard input of the shell.
 */
function guard(pid, folder) {
  const script = 'read -r _; kill "$1"; if [ -n "$2" ]; then rm -rf -- "$2"; fi';
  const process = spawn('sh', ['-c', script, 'guard', String(pid), folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  process.stdin.on('error', () => {}); // it may end before the pipe is closed
  process.unref();
  process.stdin.unref();
  return process;
}
