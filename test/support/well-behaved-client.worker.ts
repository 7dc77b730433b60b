/** Thread of a WellBehavedClient. Posts a ClientReport after each response and ends when it receives a message. */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { ClientReport, ClientTask } from './well-behaved-client.ts';

/** Milliseconds within which a hit must be served on a machine that is busy with tests. */
const PATIENCE_MS = 10_000;
const SAMPLE_MS = 20;
/** Leaves the attackers a share of a small machine. */
const PAUSE_MS = 10;

const { port, key, pid } = workerData as ClientTask;
const REQUEST = `GET /v1/keys/${key} HTTP/1.1\r\nHost: well-behaved\r\n\r\n`;
const RESPONSE = /^HTTP\/1\.1 (\d+)[^]*?\r\nContent-Length: (\d+)\r\n[^]*?\r\n\r\n/;

const statuses = new Set<string>();
let responses = 0;
let slowestMs = 0;
let maxMiB = 0;
let received = '';
let settle: (status: string) => void = () => undefined;
let stopped = false;

const socket = connect(port, '127.0.0.1').setEncoding('latin1');
socket.on('error', () => undefined).on('close', () => settle('closed'));
socket.on('data', (text: string) => {
  received += text;
  const head = RESPONSE.exec(received);
  if (head === null || received.length < head[0].length + Number(head[2])) return;
  received = '';
  settle(head[1]);
});
parentPort?.once('message', () => (stopped = true));
const sampling = setInterval(sample, SAMPLE_MS);

while (!stopped) {
  const started = performance.now();
  const status = await request();
  slowestMs = Math.max(slowestMs, performance.now() - started);
  statuses.add(status);
  if (status === '200') responses++;
  post();
  if (status !== '200') break;
  await delay(PAUSE_MS);
}
clearInterval(sampling);
sample();
post();
socket.destroy();
parentPort?.close();

function request(): Promise<string> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS, 'late');
    settle = (status) => {
      clearTimeout(timer);
      resolve(status);
    };
    if (socket.closed) settle('closed');
    else socket.write(REQUEST);
  });
}

function sample(): void {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    maxMiB = Math.max(maxMiB, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  } catch {
    // The proxy has ended.
  }
}

function post(): void {
  const report: ClientReport = { responses, statuses: [...statuses], slowestMs, maxMiB };
  parentPort?.postMessage(report);
}
