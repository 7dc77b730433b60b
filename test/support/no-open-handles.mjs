import { createHook } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { TestEnvironment } from 'jest-environment-node';

/** Until the last callbacks have run, and a busy machine has ended the threads and processes. */
const DEADLINE_MS = 10_000;
const PAUSE_MS = 10;

/** The usual environment of a spec file, which fails the file if what keeps a process alive outlives its tests. */
// eslint-disable-next-line no-restricted-syntax -- Jest loads the default export
export default class NoOpenHandles extends TestEnvironment {
  /** Kinds of what Jest has opened before. */
  #before = [];
  #timers = new Map();
  #threads = new Set();
  #failed = false;
  #finished = false;

  /** Jest's own --detectOpenHandles tracks promises as well, which takes as long as many specs, and only prints. */
  #hook = createHook({
    trackPromises: false,
    init: (id, type, _trigger, resource) => {
      if (type === 'Timeout' && !this.#finished) this.#timers.set(id, resource);
    },
    destroy: (id) => this.#timers.delete(id),
  });

  #onWorker = (worker) => {
    this.#threads.add(worker);
    worker.once('exit', () => this.#threads.delete(worker));
  };

  async setup() {
    await super.setup();
    this.#before = openResources();
    this.#hook.enable();
    process.on('worker', this.#onWorker);
  }

  async handleTestEvent({ name }) {
    // A test that has failed may not have come to its end; its own error says more.
    if (name === 'test_fn_failure' || name === 'hook_failure') this.#failed = true;
    if (name !== 'run_finish' || this.#failed) return;
    this.#finished = true;
    const deadline = performance.now() + DEADLINE_MS;
    let open;
    do {
      // First, as Node.js reports a new thread a little later.
      await delay(PAUSE_MS);
      open = this.#open();
    } while (open.length > 0 && performance.now() < deadline);
    if (open.length > 0) throw new Error(`still open after the tests: ${open.join(', ')}`);
  }

  async teardown() {
    this.#hook.disable();
    process.off('worker', this.#onWorker);
    await super.teardown();
  }

  #open() {
    const resources = openResources();
    for (const kind of this.#before) {
      const index = resources.indexOf(kind);
      if (index !== -1) resources.splice(index, 1);
    }
    const timers = [...this.#timers.values()].filter((timer) => timer.hasRef()).map(() => 'Timeout');
    return [...resources, ...timers, ...Array.from(this.#threads, () => 'Worker')];
  }
}

/** Returns the kinds of all that keeps this process alive, but timers, of which Jest has some. */
function openResources() {
  return process.getActiveResourcesInfo().filter((kind) => kind !== 'Timeout');
}
