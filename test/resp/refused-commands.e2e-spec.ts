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
    proxy = await TestProxy.start({
      ...{ REDIS_URL: redis.url, RESP_PORT: 0, PROXY_THREADS: 1, ACCESS_TOKEN: 'token', CACHE_TTL_MS: 3_600_000 },
      // Long enough for all reads but those of a Redis that is stopped.
      REDIS_COMMAND_TIMEOUT_MS: 3000,
    });
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
    const counted = all.filter(([labels]) => labels.includes(`transport="${transport}"`));
    return Object.fromEntries(counted.map(([labels, times]) => [/command="([^"]*)"/.exec(labels)?.[1] ?? '', times]));
  };
  const send = async (...command: string[]): Promise<string> => {
    client.send(request(...command));
    return client.replies(1);
  };

  it('count refused commands by name, and unknown names as "other"', async () => {
    expect(await refused('resp')).toEqual({ other: 0 });
    // Commands of unauthenticated clients are not counted.
    await send('SET', 'key', 'x');
    expect(await send('AUTH', 'token')).toBe('+OK\r\n');
    const writes = [
      ['SET', 'key', 'x'],
      ['set', 'key', 'x'],
      ['GETEX', 'key', 'PERSIST'],
      ['HSET', 'h', 'f', 'v'],
    ];
    for (const command of writes) expect(await send(...command)).toMatch(/^-READONLY /);
    await send('MULTI');
    await send('INCR', 'key');
    expect(await send('EXEC')).toMatch(/^-EXECABORT /);
    for (const command of [
      ['OBJECT', 'ENCODING', 'h'],
      ['SCAN', '0'],
      ['JSON.RESP', 'j'],
      ['SELECT', '1'],
    ]) {
      expect(await send(...command)).toMatch(/^-ERR /);
    }
    for (const name of ['nonsense', 'n"{}', 'x'.repeat(10_000)]) expect(await send(name)).toMatch(/^-ERR /);
    expect(await send('CLIENT', 'nonsense')).toMatch(/^-ERR /);
    // Supported commands are not counted, whatever the reply.
    for (const command of [['GET', 'key'], ['GETEX', 'key'], ['GET'], ['SELECT', '0']]) await send(...command);
    expect(await refused('resp')).toEqual({
      ...{ other: 4, set: 2, getex: 1, hset: 1, incr: 1, object: 1, scan: 1, 'json.resp': 1 },
      select: 1,
    });
  });

  it.each([
    [['SCAN', '0'], /^-ERR SCAN is not supported: .*cannot list the keys of Redis; list them in Redis itself\r\n$/],
    [['keys', '*'], /^-ERR KEYS is not supported: .*cannot list/],
    [['HSCAN', 'h', '0'], /^-ERR HSCAN is not supported: .*use HGETALL, HKEYS or HMGET\r\n$/],
    [['SSCAN', 's', '0'], /^-ERR SSCAN is not supported: .*use SMEMBERS or SMISMEMBER\r\n$/],
    [['ZSCAN', 'z', '0'], /^-ERR ZSCAN is not supported: .*use ZRANGE\r\n$/],
    [['RANDOMKEY'], /^-ERR RANDOMKEY is not supported: .*cannot list/],
    [['HRANDFIELD', 'h'], /^-ERR HRANDFIELD is not supported: random replies cannot be cached; use HKEYS or HGETALL/],
    [['SUNION', 'a', 'b'], /^-ERR SUNION is not supported: .*read each key by itself/],
    [['SUBSCRIBE', 'c'], /^-ERR SUBSCRIBE is not supported: .*subscribe in Redis itself\r\n$/],
    [['EVAL', 'return 1', '0'], /^-ERR EVAL is not supported: .*scripts/],
    [['HTTL', 'h', 'FIELDS', '1', 'f'], /^-ERR HTTL is not supported: .*send the command to Redis itself\r\n$/],
    [['JSON.SET', 'j', '$', '1'], /^-READONLY /],
    [['CLUSTER', 'SLOTS'], /^-ERR CLUSTER is not supported: .*send the command to Redis itself\r\n$/],
  ])('%j is refused with the reason, and what to use instead', async (command, reply) => {
    expect(await send(...command)).toMatch(reply);
  });

  it('DBSIZE is the number of cached entries, and TIME the time of the proxy', async () => {
    await send('GET', 'key');
    expect(await send('DBSIZE')).toBe(':1\r\n');
    const [, seconds] = /^\*2\r\n\$10\r\n(\d+)\r\n\$\d+\r\n\d+\r\n$/.exec(await send('TIME')) ?? [];
    expect(Math.abs(Number(seconds) - Date.now() / 1000)).toBeLessThan(60);
  });

  it('count refused commands of the Upstash REST API', async () => {
    const headers = { authorization: 'Bearer token' };
    const body = JSON.stringify([
      ['SET', 'key', 'x'],
      ['HSCAN', 'h', 0],
      ['nonsense'],
      ['GETEX', 'key', 'EX', 5],
      ['GET', 'key'],
    ]);
    expect((await proxy.request('/pipeline', { method: 'POST', headers, body })).status).toBe(200);
    expect(await refused('upstash')).toEqual({ other: 1, set: 1, hscan: 1, getex: 1 });
  });

  it('count reads of TTLs as loads, and as load errors when Redis does not reply', async () => {
    const loads = async () => {
      const all = { ...(await metrics('load')) };
      return [all.loads_total, all.load_errors_total, all.load_duration_seconds_count];
    };
    const [before, errors, observed] = await loads();
    for (const name of ['TTL', 'PTTL', 'EXPIRETIME', 'PEXPIRETIME']) await send(name, 'key');
    expect(await loads()).toEqual([before + 4, errors, observed + 4]);
    redis.server?.signal('SIGSTOP');
    client.send(request('TTL', 'key'), request('TYPE', 'key'));
    expect(await client.replies(2)).toMatch(/^-TIMEOUT .*\r\n-TIMEOUT .*\r\n$/);
    redis.server?.signal('SIGCONT');
    expect(await loads()).toEqual([before + 6, errors + 2, observed + 6]);
    await until('reads of Redis succeed again', async () =>
      (await send('TTL', 'key')) === ':-1\r\n' ? true : undefined,
    );
  });

  it('appear in redis-cli --stat: keys, clients, requests and connections', async () => {
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
    // keys, memory, clients, blocked, requests (and their increase), connections
    expect(Number(first[0])).toBe(1);
    expect(Number(first[2])).toBeGreaterThan(0);
    expect(first[3]).toBe('0');
    expect(Number(third[4])).toBeGreaterThan(Number(first[4]));
    expect(Number(third.at(-1))).toBeGreaterThan(1);
  });
});
