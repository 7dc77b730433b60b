import { connect } from 'node:net';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { drainResponse } from '../support/drain.ts';
import { exchange } from '../support/http-client.ts';
import { SteadyLoad } from '../support/load.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy, launch } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

const CLIENTS = 32;
/** A shutdown that takes as long on a busy machine must not end with status 1. */
const PATIENT = { SHUTDOWN_GRACE_MS: 60_000 };

describeOwn('graceful shutdown', () => {
  let redis: TestRedis;
  let proxy: TestProxy;

  beforeEach(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
  });
  afterEach(async () => {
    redis.server?.signal('SIGCONT');
    await proxy.stop();
    await redis.stop();
  });

  const start = async (settings = {}): Promise<TestProxy> =>
    (proxy = await TestProxy.start({ ...{ REDIS_URL: redis.url, PROXY_THREADS: 2 }, ...PATIENT, ...settings }));

  const loadInFlight = (): Promise<true> =>
    until('the load', async () => {
      const { text } = await proxy.get('/metrics');
      return /loads_in_flight 1$/m.test(text) ? true : undefined;
    });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'on %s completes all accepted requests of keep-alive clients, sends Connection: close, and exits with 0',
    async (signal) => {
      await start();
      const load = new SteadyLoad(proxy, ['key', 'missing'], CLIENTS);
      await until('the clients are served', () => (load.total > 500 && load.served.size === CLIENTS) || undefined);
      // Otherwise connections are closed as idle ones while the clients cannot run.
      await proxy.stopClock();
      proxy.child?.signal(signal);
      expect(await proxy.child?.exit).toBe(0);
      await load.stop();
      expect([...load.outcomes.keys()].sort()).toEqual(['200', '404']);
      expect([...load.failures.keys()]).toEqual(['ECONNREFUSED']);
    },
  );

  it('responds shutting-down to readiness probes, and closes their connection', async () => {
    await start();
    const response = await drainResponse(proxy, '/health/ready');
    expect([response.status, response.json.status]).toEqual([503, 'shutting-down']);
    expect(await proxy.child?.exit).toBe(0);
  });

  it('waits for loads in flight, and sends their responses', async () => {
    // One thread, so that both connections see the same state.
    await start({ REDIS_COMMAND_TIMEOUT_MS: 20_000, PROXY_THREADS: 1 });
    redis.server?.signal('SIGSTOP');
    const response = exchange(proxy.url, 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n');
    await loadInFlight();
    await drainResponse(proxy);
    redis.server?.signal('SIGCONT');
    expect(await response).toMatch(/^HTTP\/1.1 200 [^]*Connection: close\r\n\r\nvalue$/i);
    expect(await proxy.child?.exit).toBe(0);
  });

  it('closes remaining connections after the grace time, logs it, and exits with 1', async () => {
    await start({ REDIS_COMMAND_TIMEOUT_MS: 60_000, SHUTDOWN_GRACE_MS: 200 });
    redis.server?.signal('SIGSTOP');
    const cut = exchange(proxy.url, 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => '');
    await loadInFlight();
    proxy.child?.signal('SIGTERM');
    expect(await proxy.child?.exit).toBe(1);
    expect(await cut).toBe('');
    expect(proxy.child?.output).toContain('graceful shutdown timed out after 200 ms');
  });

  it('does not wait for connections without a complete request', async () => {
    // They stay open until the shutdown.
    await start({ HTTP_HEADERS_TIMEOUT_MS: 600_000, HTTP_REQUEST_TIMEOUT_MS: 600_000 });
    const port = Number(new URL(proxy.url).port);
    const connections = async (count: number): Promise<true> =>
      until(`${count} connections, the one for the metrics included`, async () => {
        const { text } = await proxy.get('/metrics');
        return new RegExp(`^redis_http_cache_proxy_connections ${count}$`, 'm').test(text) || undefined;
      });
    await connections(1);
    const silent = connect(port, '127.0.0.1');
    const half = connect(port, '127.0.0.1', () => half.write('GET /v1/keys/key HTTP/1.1\r\nHo'));
    for (const socket of [silent, half]) socket.on('error', () => undefined);
    await connections(3);
    proxy.child?.signal('SIGTERM');
    expect(await proxy.child?.exit).toBe(0);
    silent.destroy();
    half.destroy();
  });

  it('exits with 0 during start-up as well', async () => {
    const child = launch({ REDIS_URL: redis.url, PROXY_THREADS: 3, ...PATIENT });
    await until('the start', () => (child.output.includes('starting') ? true : undefined));
    child.signal('SIGTERM');
    expect(await child.exit).toBe(0);
    expect(child.errors).toBe('');
  });

  it('exits at once on a second signal', async () => {
    await start({ REDIS_COMMAND_TIMEOUT_MS: 60_000, SHUTDOWN_GRACE_MS: 60_000 });
    redis.server?.signal('SIGSTOP');
    void exchange(proxy.url, 'GET /v1/keys/key HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => '');
    await loadInFlight();
    proxy.child?.signal('SIGTERM');
    await until('the drain', () => (proxy.child?.output.includes('SIGTERM') ? true : undefined));
    proxy.child?.signal('SIGTERM');
    expect(await proxy.child?.exit).toBe(1);
  });
});
