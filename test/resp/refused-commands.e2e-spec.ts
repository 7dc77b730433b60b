import { execFile } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

describeOwn('metrics of commands', () => {
  let redis: TestRedis;
  let proxy: TestProxy;
  let client: RespSocket;

  beforeAll(async () => {
    redis = await TestRedis.start();
    await redis.client.set('key', 'value');
    const settings = { REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 1, ACCESS_TOKEN: 'token' };
    proxy = await TestProxy.start({ ...settings, REDIS_COMMAND_TIMEOUT_MS: 300 });
    client = await RespSocket.open(respPort(proxy));
  });
  afterAll(async () => {
    client?.socket.destroy();
    redis?.server?.signal('SIGCONT');
    await proxy?.stop();
    await redis?.stop();
  });

  const metrics = async (name: string): Promise<Record<string, number>> => {
    const { text } = await proxy.get('/metrics');
    const lines = text.split('\n').filter((line) => line.startsWith(`redis_http_cache_proxy_${name}`));
    return Object.fromEntries(
      lines.map((line) => [line.replace(/^redis_http_cache_proxy_| [^ ]*$/g, ''), Number(line.split(' ').at(-1))]),
    );
  };
  const refused = async (transport: string): Promise<Record<string, number>> => {
    const all = Object.entries(await metrics('commands_refused_total'));
    const mine = all.filter(([labels]) => labels.includes(`transport="${transport}"`));
    return Object.fromEntries(mine.map(([labels, times]) => [/command="([^"]*)"/.exec(labels)?.[1] ?? '', times]));
  };
  const ask = async (...command: string[]): Promise<string> => {
    client.send(request(...command));
    return client.replies(1);
  };

  it('count refused commands by name, and by no name that a client can make up', async () => {
    expect(await refused('resp')).toEqual({ other: 0 });
    // Whoever may not read is told so, and nothing of what there is.
    await ask('SET', 'key', 'x');
    expect(await ask('AUTH', 'token')).toBe('+OK\r\n');
    const writes = [
      ['SET', 'key', 'x'],
      ['set', 'key', 'x'],
      ['GETEX', 'key', 'PERSIST'],
      ['HSET', 'h', 'f', 'v'],
    ];
    for (const command of writes) expect(await ask(...command)).toMatch(/^-READONLY /);
    await ask('MULTI');
    await ask('INCR', 'key');
    expect(await ask('EXEC')).toMatch(/^-EXECABORT /);
    for (const command of [
      ['HGETALL', 'h'],
      ['SCAN', '0'],
      ['JSON.GET', 'j'],
      ['CLIENT', 'TRACKING', 'ON'],
      ['SELECT', '1'],
    ]) {
      expect(await ask(...command)).toMatch(/^-ERR /);
    }
    for (const name of ['nonsense', 'n"{}', 'x'.repeat(10_000)]) expect(await ask(name)).toMatch(/^-ERR /);
    expect(await ask('CLIENT', 'nonsense')).toMatch(/^-ERR /);
    // Served, and not refused, whatever Redis replies.
    for (const command of [['GET', 'key'], ['GETEX', 'key'], ['GET'], ['SELECT', '0']]) await ask(...command);
    expect(await refused('resp')).toEqual({
      ...{ other: 4, set: 2, getex: 1, hset: 1, incr: 1, hgetall: 1, scan: 1, 'json.get': 1 },
      ...{ 'client|tracking': 1, select: 1 },
    });
  });

  it('count those of Upstash’s REST API as well', async () => {
    const headers = { authorization: 'Bearer token' };
    const body = JSON.stringify([
      ['SET', 'key', 'x'],
      ['HGETALL', 'h'],
      ['nonsense'],
      ['GETEX', 'key', 'EX', 5],
      ['GET', 'key'],
    ]);
    expect((await proxy.ask('/pipeline', { method: 'POST', headers, body })).status).toBe(200);
    expect(await refused('upstash')).toEqual({ other: 1, set: 1, hgetall: 1, getex: 1 });
  });

  it('count queries for times to live and types as loads, and as load errors when Redis does not answer', async () => {
    const loads = async () => {
      const all = { ...(await metrics('load')) };
      return [all.loads_total, all.load_errors_total, all.load_duration_seconds_count];
    };
    const [before, errors, observed] = await loads();
    for (const name of ['TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME', 'TYPE']) await ask(name, 'key');
    expect(await loads()).toEqual([before + 5, errors, observed + 5]);
    redis.server?.signal('SIGSTOP');
    expect(await ask('TTL', 'key')).toMatch(/^-TIMEOUT /);
    expect(await ask('TYPE', 'key')).toMatch(/^-TIMEOUT /);
    redis.server?.signal('SIGCONT');
    expect(await loads()).toEqual([before + 7, errors + 2, observed + 7]);
    await until('Redis is read again', async () => ((await ask('TTL', 'key')) === ':-1\r\n' ? true : undefined));
  });

  it('let redis-cli --stat show keys, clients, requests and connections', async () => {
    const cli = execFile('stdbuf', [
      ...[
        '-oL',
        'redis-cli',
        '-p',
        String(respPort(proxy)),
        '-a',
        'token',
        '--no-auth-warning',
        '--stat',
        '-i',
        '0.05',
      ],
    ]);
    let output = '';
    cli.stdout?.on('data', (text: string) => (output += text));
    const lines = (): string[][] => [...output.matchAll(/^\d.*\n/gm)].map(([line]) => line.trim().split(/\s+/));
    try {
      await until('three lines', () => (lines().length >= 3 ? true : undefined));
    } finally {
      cli.kill('SIGKILL');
    }
    const [first, , third] = lines();
    // keys, memory, clients, blocked, requests (and how many more), connections
    expect(Number(first[0])).toBe(1);
    expect(Number(first[2])).toBeGreaterThan(0);
    expect(first[3]).toBe('0');
    expect(Number(third[4])).toBeGreaterThan(Number(first[4]));
    expect(Number(third.at(-1))).toBeGreaterThan(1);
  });
});
