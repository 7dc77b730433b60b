/**
 * Preloaded (`node --import`) into a proxy under test: lets the test move the monotonic clock on, in all threads, and
 * kill threads, by messages over the IPC channel. The proxy itself has no test hooks.
 */
import './names.mjs';
import { performance } from 'node:perf_hooks';
import { BroadcastChannel, Worker, isMainThread, threadId, workerData } from 'node:worker_threads';

const now = performance.now.bind(performance);
let ahead = 0;
performance.now = () => now() + ahead;

const threads = new BroadcastChannel('test-orders');
threads.unref();

if (isMainThread) obeyTest();
else obeyMainThread();

function obeyTest() {
  const expected = new Map();
  // A proxy whose test has gone ends, however that test has ended.
  process.on('disconnect', () => process.exit(1));
  process.channel?.unref();
  const carriedOut = (id, thread) => {
    const waiting = expected.get(id);
    if (waiting?.delete(thread) && waiting.size === 0) process.send({ done: id });
  };
  threads.onmessage = ({ data }) => {
    if ('done' in data) carriedOut(data.done, data.thread);
  };
  // What was ordered of a thread that is no more is not waited for.
  const workers = watchWorkers((thread) => {
    for (const id of expected.keys()) carriedOut(id, thread);
  });
  const cache = rememberLargestBuffer();
  process.on('message', (order) => {
    if (order.kind === 'advance') {
      ahead += order.ms;
      expected.set(order.id, new Set([...workers.keys()]));
      threads.postMessage(order);
      if (workers.size === 0) process.send({ done: order.id });
    } else if (order.kind === 'check') {
      void check(cache()).then((problem) => process.send({ done: order.id, problem }));
    } else {
      const [worker] = [...workers.values()].slice(order.thread);
      if (order.kind === 'stall in critical section' && worker) expected.set(order.id, new Set([worker.threadId]));
      if (order.kind === 'terminate') void worker?.terminate();
      else threads.postMessage({ ...order, threadId: worker?.threadId });
      if (!expected.has(order.id)) process.send({ done: order.id });
    }
  });
}

/** The memory of the cache: nothing else that is shared is as large. */
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

/** What is wrong with the memory of a cache that nobody uses just now; undefined when nothing is. */
async function check(buffer) {
  const { checkInvariants } = await import('../../src/cache/shared-lru/shared-memory.spec-support.ts');
  try {
    checkInvariants(buffer);
    return undefined;
  } catch (error) {
    return error.message;
  }
}

/** The proxy's worker threads, by their ids; new ones are told what time it is. */
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

function obeyMainThread() {
  const { store } = Atomics;
  threads.onmessage = ({ data: order }) => {
    if (order.kind === 'advance') {
      ahead = order.total ?? ahead + order.ms;
      if (order.id !== undefined) threads.postMessage({ done: order.id, thread: threadId });
    } else if (order.threadId !== threadId) {
      return;
    } else if (order.kind === 'throw') {
      setImmediate(() => {
        throw new Error('ordered by the test');
      });
    } else if (order.kind === 'exhaust memory') {
      setImmediate(() => {
        const hoard = [];
        for (;;) hoard.push(new Array(1e6).fill(hoard.length));
      });
    } else if (order.kind === 'stall in critical section') {
      // The next release of the cache's lock, a store of 0, never comes: the thread holds it until it is terminated.
      Atomics.store = (words, index, value) => {
        if (value !== 0 || words.buffer !== workerData.cache) return store(words, index, value);
        threads.postMessage({ done: order.id, thread: threadId });
        for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
      };
    }
  };
}
