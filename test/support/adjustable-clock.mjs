/**
 * Preloaded (`node --import`) into a proxy under test: lets the test stop the monotonic clock and move it on, in all
 * threads, and inject faults into threads, by messages over the IPC channel. The proxy itself has no test hooks.
 */
import './names.mjs';
import { performance } from 'node:perf_hooks';
import { BroadcastChannel, Worker, isMainThread, threadId, workerData } from 'node:worker_threads';

const now = performance.now.bind(performance);
let ahead = 0;
/** What `now` returned when the clock was stopped; undefined if it runs. */
let stoppedAt;
performance.now = () => (stoppedAt ?? now()) + ahead;

const threads = new BroadcastChannel('test-commands');
threads.unref();

if (isMainThread) followTest();
else followMainThread();

/** Milliseconds of the clock that all threads share; `performance.now()` counts from the start of each thread. */
const sharedNow = () => Number(process.hrtime.bigint()) / 1e6;

/** @param at time by `sharedNow` at which all threads stop the clock. */
function adjust({ kind, ms, total, at }) {
  if (kind === 'advance') ahead = total ?? ahead + ms;
  else stoppedAt = kind === 'stop' ? at - (sharedNow() - now()) : undefined;
}

function followTest() {
  const expected = new Map();
  const intervals = controlIntervals();
  // Ends the proxy however its test has ended.
  process.on('disconnect', () => process.exit(1));
  process.channel?.unref();
  const carriedOut = (id, thread) => {
    const waiting = expected.get(id);
    if (waiting?.delete(thread) && waiting.size === 0) process.send({ done: id });
  };
  threads.onmessage = ({ data }) => {
    if ('done' in data) carriedOut(data.done, data.thread);
  };
  // A command to a thread that has ended counts as carried out.
  const workers = watchWorkers((thread) => {
    for (const id of expected.keys()) carriedOut(id, thread);
  });
  const cache = rememberLargestBuffer();
  process.on('message', (command) => {
    if (command.kind === 'advance' || command.kind === 'stop' || command.kind === 'start') {
      if (command.kind === 'stop') command.at = sharedNow();
      if (command.kind === 'start') intervals.arePaused = false;
      adjust(command);
      expected.set(command.id, new Set([...workers.keys()]));
      threads.postMessage(command);
      if (workers.size === 0) process.send({ done: command.id });
    } else if (command.kind === 'pause intervals') {
      intervals.arePaused = true;
      process.send({ done: command.id });
    } else if (command.kind === 'check') {
      void check(cache()).then((problem) => process.send({ done: command.id, problem }));
    } else {
      const [worker] = [...workers.values()].slice(command.thread);
      if (command.kind === 'stall in critical section' && worker) expected.set(command.id, new Set([worker.threadId]));
      if (command.kind === 'terminate') void worker?.terminate();
      else threads.postMessage({ ...command, threadId: worker?.threadId });
      if (!expected.has(command.id)) process.send({ done: command.id });
    }
  });
}

/** While they are paused, intervals of this thread do nothing when they fire: it sends no heartbeats. */
function controlIntervals() {
  const control = { arePaused: false };
  const { setInterval } = globalThis;
  globalThis.setInterval = (run, ...rest) =>
    setInterval(
      (...args) => {
        if (!control.arePaused) run(...args);
      },
      ...rest,
    );
  return control;
}

/** Remembers the memory of the cache, the largest shared buffer. */
function rememberLargestBuffer() {
  let largest = new SharedArrayBuffer(0);
  globalThis.SharedArrayBuffer = class extends SharedArrayBuffer {
    constructor(...args) {
      super(...args);
      largest = larger(largest, this);
    }
  };
  return () => largest;
}

function larger(a, b) {
  return a.byteLength >= b.byteLength ? a : b;
}

/** Checks the invariants of an idle cache; returns the first violation. */
async function check(buffer) {
  const { checkInvariants } = await import('../../src/cache/shared-lru/shared-memory.spec-support.ts');
  try {
    checkInvariants(buffer);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** Returns the running worker threads by id; sends the offset of the clock to new ones. */
function watchWorkers(ended) {
  const workers = new Map();
  const { emit } = Worker.prototype;
  Worker.prototype.emit = function (event, ...rest) {
    if (event === 'online') {
      const id = this.threadId;
      workers.set(id, this);
      this.once('exit', () => {
        workers.delete(id);
        ended(id);
      });
      threads.postMessage({ kind: 'advance', ms: 0, total: ahead });
    }
    return emit.call(this, event, ...rest);
  };
  return workers;
}

function followMainThread() {
  const { store } = Atomics;
  threads.onmessage = ({ data: command }) => {
    if (command.kind === 'advance' || command.kind === 'stop' || command.kind === 'start') {
      adjust(command);
      if (command.id !== undefined) threads.postMessage({ done: command.id, thread: threadId });
    } else if (command.threadId !== threadId) {
      return;
    } else if (command.kind === 'throw') {
      setImmediate(() => {
        throw new Error('injected by the test');
      });
    } else if (command.kind === 'exhaust memory') {
      setImmediate(() => {
        const hoard = [];
        for (;;) hoard.push(new Array(1e6).fill(hoard.length));
      });
    } else if (command.kind === 'stall in critical section') {
      // The next release of the cache's lock, a store of 0, never comes: the thread holds it until it is terminated.
      Atomics.store = (words, index, value) => {
        if (value !== 0 || words.buffer !== workerData.cache) return store(words, index, value);
        threads.postMessage({ done: command.id, thread: threadId });
        for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
      };
    }
  };
}
