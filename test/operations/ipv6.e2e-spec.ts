import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { sendRequest } from '../support/http-client.ts';
import { describeOwn } from '../support/only-own.ts';
import { TestProxy, launch } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { respPort } from '../support/resp.ts';

const NO_IPV6 = { NODE_OPTIONS: `--import ${new URL('../support/no-ipv6.mjs', import.meta.url).href}` };
const hasIpv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some((each) => each.address === '::1'),
);

let redis: TestRedis;
let proxy: TestProxy | undefined;
beforeAll(async () => {
  redis = await TestRedis.start();
  await redis.client.set('key', 'value');
});
afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
});
afterAll(() => redis?.stop());

async function start(settings: Readonly<Record<string, string | number>>): Promise<TestProxy> {
  proxy = await TestProxy.start({ REDIS_URL: redis.url, RESP_PORT: 0, OPS_PORT: 0, ...settings });
  return proxy;
}

/** Returns the address of a client as CLIENT LIST shows it, after `GET key`. */
async function clientAddress(host: string, port: number): Promise<string | undefined> {
  const socket = connect({ host, port }).setEncoding('latin1');
  await once(socket, 'connect');
  let received = '';
  socket.on('data', (text: string) => (received += text));
  socket.write('GET key\r\nCLIENT LIST\r\nQUIT\r\n');
  await once(socket, 'close');
  expect(received).toMatch(/^\$5\r\nvalue\r\n/);
  return / addr=(\S+) /.exec(received)?.[1];
}

/** Reads over every protocol from an address at which the proxy listens. */
async function readFrom(host: string, own: TestProxy): Promise<void> {
  const at = (base: string): string => `http://${host.includes(':') ? `[${host}]` : host}:${new URL(base).port}`;
  expect((await sendRequest(at(own.url), '/v1/keys/key')).text).toBe('value');
  expect((await sendRequest(at(own.opsUrl), '/health/live')).status).toBe(200);
  const address = await clientAddress(host, respPort(own));
  expect(address).toMatch(host.includes(':') ? /^\[::1\]:\d+$/ : /^127\.0\.0\.1:\d+$/);
}

describeOwn('addresses to listen on', () => {
  const withIpv6 = hasIpv6 ? describe : describe.skip;
  withIpv6(`with IPv6${hasIpv6 ? '' : ' (skipped: this machine has no address ::1)'}`, () => {
    it('HTTP_HOST=:: serves IPv4 and IPv6 at every port, with several threads', async () => {
      const own = await start({ HTTP_HOST: '::', PROXY_THREADS: 2 });
      expect(own.url).toMatch(/^http:\/\/localhost:\d+$/);
      await readFrom('127.0.0.1', own);
      await readFrom('::1', own);
      expect(own.child?.output).not.toContain('"level":"warn"');
    });

    it.each(['::1', '[::1]'])('an address, as %s, is in brackets in the log, and is the only one', async (address) => {
      const own = await start({ HTTP_HOST: address });
      expect(own.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
      expect(own.opsUrl).toMatch(/^http:\/\/\[::1\]:\d+$/);
      expect(own.child?.output).toMatch(/listening for the Redis protocol on redis:\/\/\[::1\]:\d+"/);
      await readFrom('::1', own);
      await expect(sendRequest(`http://127.0.0.1:${new URL(own.url).port}`, '/')).rejects.toMatchObject({
        code: 'ECONNREFUSED',
      });
    });

    it('OPS_HOST and HTTP_HOST may be of different families', async () => {
      const own = await start({ HTTP_HOST: '127.0.0.1', OPS_HOST: '[::1]' });
      expect([new URL(own.url).hostname, new URL(own.opsUrl).hostname]).toEqual(['127.0.0.1', '[::1]']);
      expect((await own.ops('/health/ready')).status).toBe(200);
    });

    it('a port that is in use at :: is an error at any address', async () => {
      const own = await start({ HTTP_HOST: '::' });
      const child = launch({ HTTP_HOST: '::1', HTTP_PORT: new URL(own.url).port });
      expect(await child.exit).toBe(1);
      expect(child.errors).toMatch(/^HTTP_HOST, HTTP_PORT: .*EADDRINUSE.*::1:\d+\n$/);
    });
  });

  it('HTTP_HOST=:: serves IPv4 where the machine has no IPv6, and warns', async () => {
    const own = await start({ HTTP_HOST: '::', ...NO_IPV6 });
    await readFrom('127.0.0.1', own);
    const warnings = own.log().flatMap(({ level, message }) => (level === 'warn' ? [message] : []));
    expect(warnings).toEqual([
      'the address :: is not available, as this machine has no IPv6 (EAFNOSUPPORT); listening on 0.0.0.0',
    ]);
  });

  it('another IPv6 address is an error where the machine has no IPv6', async () => {
    const child = launch({ HTTP_HOST: '::1', ...NO_IPV6 });
    expect(await child.exit).toBe(1);
    expect(child.errors).toMatch(/^HTTP_HOST, HTTP_PORT: .*EAFNOSUPPORT.*::1/);
  });
});
