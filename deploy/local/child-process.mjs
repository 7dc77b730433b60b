import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { clearTimeout, setTimeout } from 'node:timers';

/**
 * A program that this one starts and ends. It gets a process group of its own, so that Ctrl-C in the terminal reaches
 * this process alone, which then ends its children one after the other.
 */
export class ChildProcess {
  #process;
  #guard;

  /** Settles when the program has ended: `{ code, signal }`, or `{ error }` when it could not be started at all. */
  ended;

  /** @param {import('node:child_process').SpawnOptions & { scratchFolder?: string }} options */
  constructor(program, parameters, { scratchFolder = '', ...options } = {}) {
    this.#process = spawn(program, parameters, { ...options, detached: true });
    this.#guard = this.#process.pid && guard(this.#process.pid, scratchFolder);
    this.ended = this.#end();
  }

  /** Its standard output and error, if they are pipes. */
  get outputs() {
    return [this.#process.stdout, this.#process.stderr];
  }

  /** Asks the program to end and waits until it has; after the grace time it is ended without asking. */
  async stop(graceMs) {
    this.#process.kill('SIGTERM');
    const impatience = setTimeout(() => this.#process.kill('SIGKILL'), graceMs);
    await this.ended;
    clearTimeout(impatience);
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
 * Ends the program and removes its folder should this process die without having done so (`kill -9`): the end of this
 * process closes the guard's standard input.
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
