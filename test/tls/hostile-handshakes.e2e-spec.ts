import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { connect as connectOverTls } from 'node:tls';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { ListenerCertificates } from '../support/listener-certificates.ts';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { respPort } from '../support/resp.ts';

const HOST = '127.0.0.1';
/** The start of a ClientHello: a record of 512 bytes, of which few are sent. */
const HALF_HELLO = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
const MAX_CONNECTIONS = 4;

describeOwn('TLS handshakes of hostile clients', () => {
  let certificates: ListenerCertificates;
  let redis: TestRedis;
  let proxy: TestProxy;
  let sockets: Socket[];

  beforeEach(async () => {
    sockets = [];
    [certificates, redis] = await Promise.all([ListenerCertificates.create(), TestRedis.start()]);
    await redis.client.set('key', 'value');
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    const code = await proxy.stop();
    await redis.stop();
    certificates.remove();
    expect(code).toBe(0);
  });

  const start = async (settings: object): Promise<TestProxy> => {
    const all = { REDIS_URL: redis.url, ...certificates.settings, ...settings };
    return (proxy = await TestProxy.start(all, '/', true, [], certificates.client));
  };
  const httpPort = (): number => Number(new URL(proxy.url).port);

  async function open(port: number, bytes: Buffer): Promise<Socket> {
    const socket = connect(port, HOST);
    socket.on('error', () => undefined).resume();
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write(bytes);
    return socket;
  }

  const metric = async (name: string): Promise<number> => {
    const { text } = await proxy.get('/metrics');
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`redis_http_cache_proxy_${name} `))
        ?.split(' ')[1],
    );
  };

  it('that are slow or silent end at the time-out, and disturb no other client', async () => {
    await start({ HTTP_HEADERS_TIMEOUT_MS: 2000 });
    const ports = [httpPort(), respPort(proxy)];
    const slow = await Promise.all(ports.map((port) => open(port, HALF_HELLO)));
    expect((await proxy.key('key')).text).toBe('value');
    // Each byte must not postpone the end.
    const drip = setInterval(() => slow.forEach((socket) => socket.write(Buffer.alloc(1))), 200);
    await Promise.all(slow.map(async (socket) => void (socket.closed || (await once(socket, 'close')))));
    clearInterval(drip);
    expect((await proxy.key('key')).text).toBe('value');
    const counted = async (listener: string): Promise<number> =>
      metric(`tls_handshake_failures_total{listener="${listener}",reason="timeout"}`);
    await eventually(async () => [await counted('http'), await counted('resp')], [1, 1]);
    expect(proxy.log().filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
  });

  it('are followed by a time-out for the first request, which began with the connection', async () => {
    await start({ HTTP_HEADERS_TIMEOUT_MS: 2000 });
    const socket = connectOverTls({ host: HOST, port: httpPort(), ...certificates.client });
    sockets.push(socket);
    let received = '';
    socket.setEncoding('latin1').on('data', (text: string) => (received += text));
    await once(socket, 'end');
    expect(received).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('count for the limit of connections; health probes are served beyond it', async () => {
    await start({
      PROXY_MAX_CONNECTIONS: MAX_CONNECTIONS,
      ...{ HTTP_HEADERS_TIMEOUT_MS: 600_000, HTTP_REQUEST_TIMEOUT_MS: 600_000 },
    });
    const handshakes: Socket[] = [];
    for (let i = 0; i < MAX_CONNECTIONS; i++) handshakes.push(await open(httpPort(), HALF_HELLO));
    await until('the connections count', async () => {
      const refused = await proxy.key('key').then(
        ({ status }) => status === 503,
        () => true,
      );
      return refused || undefined;
    });
    // A probe has a second for its handshake, and one for its request.
    await until('a probe is served', async () =>
      proxy.get('/health/live').then(
        ({ status }) => status === 200 || undefined,
        () => undefined,
      ),
    );
    for (const socket of handshakes) socket.destroy();
    await until('there is room again', async () =>
      proxy.key('key').then(
        ({ status }) => status === 200 || undefined,
        () => undefined,
      ),
    );
  });

  it('do not delay a shutdown', async () => {
    await start({ SHUTDOWN_GRACE_MS: 60_000, HTTP_HEADERS_TIMEOUT_MS: 600_000 });
    await open(httpPort(), HALF_HELLO);
    await open(respPort(proxy), HALF_HELLO);
    proxy.child?.signal('SIGTERM');
    expect(await proxy.child?.exit).toBe(0);
  });

  it('do not end in a crash when clients disconnect at any moment', async () => {
    await start({});
    for (const port of [httpPort(), respPort(proxy)]) {
      for (let i = 0; i < 30; i++) {
        const raw = connect(port, HOST);
        const socket = connectOverTls({ socket: raw, host: HOST, ...certificates.client });
        for (const each of [raw, socket]) each.on('error', () => undefined);
        if (i % 3 < 2) await (i % 3 === 0 ? once(raw, 'connect') : once(socket, 'secureConnect'));
        if (i % 3 === 1) socket.write(`${'GET /v1/keys/key HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(20)}GET key\r\n`);
        if (i % 2 === 0) socket.destroy();
        else raw.resetAndDestroy();
      }
    }
    expect((await proxy.key('key')).text).toBe('value');
    expect(await metric('thread_restarts_total')).toBe(0);
    expect(await metric('response_failures_total{listener="http"}')).toBe(0);
  });
});
