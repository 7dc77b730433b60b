import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, it } from '@jest/globals';
import { ListenerCertificates } from '../support/listener-certificates.ts';
import { describeOwn } from '../support/only-own.ts';
import { Child, freePort } from '../support/processes.ts';
import { TestRedis } from '../support/redis.ts';

const START = new URL('../../deploy/local/start.mjs', import.meta.url).pathname;
const chooser = new URL('../../deploy/local/choose-redis.mjs', import.meta.url).href;

interface OwnRedis {
  readonly url: string;
  stop(): Promise<void>;
}

type ChooseRedis = (
  settings: { choosesRedis: boolean },
  defaultUrl: string,
  program: () => string,
  log: (message: string) => void,
  pingTimeoutMs: number,
) => Promise<OwnRedis | undefined>;

/** What a promise has started, to be stopped after it. */
const started: (() => unknown)[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((stop) => stop()));
});

/** Somebody who listens on a port of 127.0.0.1 and says nothing. */
async function silentServer(): Promise<number> {
  // It reads, so that it notices when clients go.
  const server = createServer((socket) => socket.resume()).listen(await freePort(), '127.0.0.1');
  await once(server, 'listening');
  started.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

describeOwn('make start', () => {
  /** What it says when it cannot start. */
  async function refusal(settings: Readonly<Record<string, string | number>>): Promise<string[]> {
    const values = Object.entries(settings).map(([name, value]) => [name, String(value)]);
    const env = { PATH: process.env.PATH, REDIS_URL: 'redis://127.0.0.1:1', HTTP_HOST: '127.0.0.1' };
    const given = Object.fromEntries(values) as Record<string, string>;
    const child = new Child(process.execPath, [START], { env: { ...env, ...given } });
    started.push(() => child.stop());
    expect(await child.exit).toBe(1);
    return child.errors.trimEnd().split('\n');
  }

  it('offers another port, or none, where that of the Redis protocol is in use', async () => {
    const occupied = await silentServer();
    const [line, or] = await refusal({ HTTP_PORT: await freePort(), RESP_PORT: occupied });
    const [, port, offered] = /^Port (\d+) is in use\. Free port: make start RESP_PORT=(\d+)$/.exec(line) ?? [];
    expect(Number(port)).toBe(occupied);
    expect(Number(offered)).toBeGreaterThan(occupied);
    expect(or).toBe('Or without the Redis protocol: make start RESP_PORT=');
  });

  it('offers two where both are in use, neither of them in use itself', async () => {
    const http = await silentServer();
    const resp = await silentServer();
    const [line] = await refusal({ HTTP_PORT: http, RESP_PORT: resp });
    const found = /^Ports (\d+) and (\d+) are in use\. Free ports: make start HTTP_PORT=(\d+) RESP_PORT=(\d+)$/.exec(
      line,
    );
    const [one, two, otherHttp, otherResp] = found?.slice(1).map(Number) ?? [];
    expect([one, two]).toEqual([http, resp]);
    for (const other of [otherHttp, otherResp]) expect([http, resp]).not.toContain(other);
  });

  it('offers another ops port where that is in use', async () => {
    const occupied = await silentServer();
    const settings = { HTTP_PORT: await freePort(), RESP_PORT: '', OPS_PORT: occupied, OPS_HOST: '127.0.0.1' };
    expect(await refusal(settings)).toEqual([
      expect.stringMatching(new RegExp(`^Port ${occupied} is in use\\. Free port: make start OPS_PORT=\\d+$`)),
    ]);
  });

  it('offers another HTTP port, and says nothing of the Redis protocol where that is off', async () => {
    const occupied = await silentServer();
    expect(await refusal({ HTTP_PORT: occupied, RESP_PORT: '' })).toEqual([
      expect.stringMatching(new RegExp(`^Port ${occupied} is in use\\. Free port: make start HTTP_PORT=\\d+$`)),
    ]);
  });

  it.each([
    ['HTTP_TLS_CERT_FILE', [], 'curl -k -i https:'],
    ['HTTP_TLS_CLIENT_CA_FILE', ['HTTP_TLS_CLIENT_CA_FILE'], 'curl -k --cert client.crt --key client.key -i https:'],
  ])('shows addresses and commands of a proxy with %s and no OPS_PORT', async (_name, names, command) => {
    const [redis, certificates] = await Promise.all([TestRedis.start(), ListenerCertificates.create()]);
    started.push(
      () => redis.stop(),
      () => certificates.remove(),
    );
    const port = String(await freePort());
    const clientCa = Object.fromEntries(names.map((name) => [name, certificates.path('ca.pem')]));
    const settings = {
      REDIS_URL: redis.url,
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: port,
      ...certificates.settings,
      ...clientCa,
    };
    const env = Object.entries(settings).map(([name, value]) => [name, String(value)]);
    const child = new Child(process.execPath, [START], {
      env: { PATH: process.env.PATH, ...(Object.fromEntries(env) as Record<string, string>) },
    });
    started.push(() => child.stop());
    await child.printed('Ctrl-C');
    expect(child.output).toContain(`The proxy serves https://127.0.0.1:${port}. In another terminal:`);
    expect(child.output).toContain(`${command}//127.0.0.1:${port}/v1/keys/my-key\n`);
  });

  /** What it says of the Redis that it chooses where this one, which replies to PING, is at the default address. */
  async function choice(
    defaultUrl: string,
    pingTimeoutMs = 60_000,
  ): Promise<{ own: OwnRedis | undefined; messages: string[] }> {
    const { chooseRedis } = (await import(chooser)) as { chooseRedis: ChooseRedis };
    const messages: string[] = [];
    const own = await chooseRedis(
      { choosesRedis: false },
      defaultUrl,
      () => 'redis-server',
      (message) => messages.push(message),
      pingTimeoutMs,
    );
    started.push(() => own?.stop());
    return {
      own,
      messages: messages.map((line) => line.replace(own?.url ?? '-', '<own>').replace(defaultUrl, '<default>')),
    };
  }

  it('uses the Redis that answers at the default address', async () => {
    const redis = await TestRedis.start();
    started.push(() => redis.stop());
    expect(await choice(redis.url)).toEqual({
      own: undefined,
      messages: ['Redis: the one at <default>. Nothing is written to it.'],
    });
  });

  it('reports a Redis that requires a password, and how to use it', async () => {
    const redis = await TestRedis.start();
    started.push(() => redis.stop());
    await redis.client.config('SET', 'requirepass', 'hunter2');
    const { own, messages } = await choice(redis.url);
    expect(own).toBeDefined();
    expect(messages).toEqual([
      'Redis: the one at <default> cannot be used (it requires a password); started a temporary one at <own>, with demo keys.',
      'To use the existing one: REDIS_PASSWORD=… make start',
    ]);
  });

  it('reports the error of a Redis that rejects PING, and a server that does not reply', async () => {
    const redis = await TestRedis.start();
    started.push(() => redis.stop());
    await redis.client.call('ACL', 'SETUSER', 'default', '-ping');
    expect((await choice(redis.url)).messages).toEqual([
      expect.stringMatching(
        /^Redis: the one at <default> cannot be used \(error: NOPERM .*\); started a temporary one at <own>/,
      ),
    ]);
    expect((await choice(`redis://127.0.0.1:${await silentServer()}/0`, 1000)).messages).toEqual([
      expect.stringMatching(
        /^Redis: the one at <default> cannot be used \(no reply to PING\); started a temporary one/,
      ),
    ]);
  });

  it('reports that there is no Redis if no server listens', async () => {
    expect((await choice(`redis://127.0.0.1:${await freePort()}/0`)).messages).toEqual([
      'Redis: none at <default>; started a temporary one at <own>, with demo keys.',
    ]);
  });
});
