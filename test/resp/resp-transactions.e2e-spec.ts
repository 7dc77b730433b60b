import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { describeOwn } from '../support/only-own.ts';
import { until } from '../support/processes.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';
import { RespSocket, request, respPort } from '../support/resp.ts';

/** Commands of a conversation. A read-only replica rejects write commands like the proxy. */
const COMMANDS: readonly (readonly string[])[] = [
  ...[
    ['GET', 'key'],
    ['GET', 'none'],
    ['GET', 'list'],
    ['get', 'large'],
    ['MGET', 'key', 'none', 'list', 'large'],
  ],
  ...[
    ['EXISTS', 'key', 'key', 'none', 'list'],
    ['STRLEN', 'large'],
    ['STRLEN', 'list'],
    ['TOUCH', 'key', 'none'],
  ],
  ...[
    ['GETRANGE', 'key', '1', '-2'],
    ['GETRANGE', 'key', 'x', '1'],
    ['SUBSTR', 'none', '0', '-1'],
    ['TYPE', 'list'],
  ],
  ...[
    ['TTL', 'key'],
    ['PTTL', 'none'],
    ['EXPIRETIME', 'key'],
    ['PEXPIRETIME', 'none'],
    ['TYPE', 'key'],
    ['TYPE', 'none'],
  ],
  ...[['PING'], ['PING', 'text'], ['PING', 'a', 'b'], ['ECHO', 'text'], ['SELECT', '0'], ['SELECT', 'x']],
  ...[
    ['CLIENT', 'SETNAME', 'one'],
    ['CLIENT', 'GETNAME'],
    ['CLIENT', 'SETNAME', 'a b'],
    ['CLIENT', 'NONSENSE'],
  ],
  ...[['CONFIG', 'GET', 'save'], ['AUTH', 'x'], ['HELLO', '2'], ['HELLO', '3'], ['HELLO', '4'], ['RESET']],
  // Rejected instead of being queued.
  ...[['GET'], ['MGET'], ['nonsense'], ['SET', 'key', 'x'], ['INCR', 'key'], ['EXEC', 'x'], ['MULTI', 'x'], ['WATCH']],
];
const command = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...COMMANDS) },
  { weight: 2, arbitrary: fc.constantFrom(['MULTI'], ['multi']) },
  { weight: 2, arbitrary: fc.constantFrom(['EXEC'], ['exec']) },
  { weight: 1, arbitrary: fc.constantFrom(['DISCARD'], ['WATCH', 'key', 'none'], ['UNWATCH']) },
);
/** A sequence of commands, and how many of them are pipelined. */
const conversation = fc.record({
  commands: fc.array(command, { minLength: 1, maxLength: 20 }),
  atOnce: fc.constantFrom(2, 100),
  startsIn: fc.constantFrom('MULTI', 'PING'),
});

/** Each key is read once before, so that it is cached. */
const EXAMPLES: [{ commands: readonly (readonly string[])[]; atOnce: number; startsIn: string }][] = [
  [{ commands: [['GET', 'key'], ['MULTI'], ['GET', 'key'], ['EXEC']], atOnce: 1, startsIn: 'PING' }],
  [{ commands: [['GET', 'key'], ['MULTI'], ['GET', 'key'], ['EXEC']], atOnce: 100, startsIn: 'PING' }],
];

describeOwn('transactions over the Redis protocol', () => {
  let redis: TestRedis;
  let replica: TestRedis;
  let proxy: TestProxy;
  let sockets: RespSocket[];

  beforeAll(async () => {
    redis = await TestRedis.start('--repl-diskless-sync-delay', '0');
    replica = await TestRedis.start('--replicaof', '127.0.0.1', String(redis.port));
    await redis.client.mset('key', 'value', 'other', 'second', 'large', 'v'.repeat(40_000));
    await redis.client.rpush('list', 'a');
    proxy = await TestProxy.start({
      REDIS_URL: redis.url,
      RESP_PORT: 0,
      PROXY_THREADS: 1,
      REDIS_COMMAND_TIMEOUT_MS: 20_000,
    });
    await until('the replica has the data', async () =>
      (await replica.client.exists('key', 'list')) === 2 ? true : undefined,
    );
  });
  beforeEach(() => {
    sockets = [];
  });
  afterEach(() => {
    redis.server?.signal('SIGCONT');
    for (const { socket } of sockets) socket.destroy();
  });
  afterAll(async () => {
    await proxy?.stop();
    await replica?.stop();
    await redis?.stop();
  });

  async function open(port = respPort(proxy)): Promise<RespSocket> {
    const socket = await RespSocket.open(port);
    sockets.push(socket);
    return socket;
  }

  /** Replaces expected differences in replies to HELLO: the version, the connection's id and the role. */
  const comparable = (replies: string): string =>
    replies
      .replace(/(\$7\r\nversion\r\n)\$\d+\r\n[\d.]+/g, '$1version')
      .replace(/(\$2\r\nid\r\n):\d+/g, '$1:1')
      .replace(/(\$4\r\nrole\r\n)\$\d+\r\n[a-z]+/g, '$1role');

  it('reply to every sequence of commands like Redis, byte by byte', async () => {
    await fc.assert(
      fc.asyncProperty(conversation, async ({ commands, atOnce, startsIn }) => {
        const all = [[startsIn], ...commands];
        const pair = await Promise.all([open(replica.port), open()]);
        for (let from = 0; from < all.length; from += atOnce) {
          const part = all.slice(from, from + atOnce);
          const replies = await Promise.all(
            pair.map(async (socket) => {
              socket.send(...part.map((each) => request(...each)));
              return comparable(await socket.replies(part.length));
            }),
          );
          expect([part, replies[1]]).toEqual([part, replies[0]]);
        }
        for (const socket of pair) socket.socket.destroy();
      }),
      { numRuns: 60, endOnFailure: true, examples: EXAMPLES },
    );
  });
});
