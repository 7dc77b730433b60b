import { Agent } from 'node:http';
import type { HttpAnswer } from './http-client.ts';
import { until } from './processes.ts';
import type { TestProxy } from './proxy.ts';

/** Sends SIGTERM and keeps sending requests; returns the last response, which closes the connection. */
export async function endWitnessed(proxy: TestProxy, path = '/health/live'): Promise<HttpAnswer> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = () => proxy.ask(path, { agent });
  await ask();
  proxy.child?.signal('SIGTERM');
  const last = await until('the drain', async () => {
    const answer = await ask();
    return answer.headers.connection === 'close' ? answer : undefined;
  });
  agent.destroy();
  return last;
}
