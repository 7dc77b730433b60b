import { Agent } from 'node:http';
import type { TestResponse } from './http-client.ts';
import { until } from './processes.ts';
import type { TestProxy } from './proxy.ts';

/**
 * Sends SIGTERM and keeps sending requests; returns the last response, which closes the connection. The clock of the proxy is
 * stopped, so that it does not close the connection as an idle one while this process cannot run.
 */
export async function drainResponse(proxy: TestProxy, path = '/health/live'): Promise<TestResponse> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const send = () => proxy.request(path, { agent });
  await send();
  await proxy.stopClock();
  proxy.child?.signal('SIGTERM');
  const last = await until('the drain', async () => {
    const answer = await send();
    return answer.headers.connection === 'close' ? answer : undefined;
  });
  agent.destroy();
  return last;
}
