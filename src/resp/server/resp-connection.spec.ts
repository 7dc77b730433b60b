import { once } from 'node:events';
import { Socket } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Access, OPEN_ACCESS } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import { bufferedBytes } from '../../cache/read-through/buffered-bytes.spec-support.ts';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { ClientTrackingCounts } from '../../instance/counts/client-tracking-counts.ts';
import type { CoherenceMode } from '../../instance/coherence-state.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { PendingReads } from '../../instance/pending-reads.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { packKeys } from '../../instance/packed-keys.ts';
import type { KeyReads } from '../../redis-commands/key-reads.ts';
import { RefusedCommands } from '../../redis-commands/refused-commands.ts';
import { ReadPlan } from '../../redis-commands/read-plan.ts';
import { FakeSocket, settled } from '../../net/pipeline/pipelined-connection.spec-support.ts';
import { Mutex } from '../../net/mutex.ts';
import { SharedReadBuffer } from '../../net/shared-read-buffer.ts';
import { type Client, describeRespRequest } from './client.ts';
import type { RespCommand, Handler } from '../commands/resp-command.ts';
import { CommandTable } from '../commands/command-table.ts';
import { Dispatcher } from '../commands/dispatcher.ts';
import { TrackingClients } from './tracking-clients.ts';
import { RespConnection } from './resp-connection.ts';
import { GetRequest } from '../protocol/get-request.ts';
import { QueryRequest } from '../protocol/query-request.ts';
import { ReplyWriter } from '../protocol/reply-writer.ts';
import { TransactionCommands } from '../commands/transaction-commands.ts';

const CLIENT: Client = {
  ...{ id: 1, address: '', localAddress: '', connectedAt: 0, protocol: 2, authenticated: true, credential: undefined },
  ...{
    name: '',
    libraryName: '',
    libraryVersion: '',
    transaction: undefined,
    tracking: undefined,
    quitting: false,
    hasQueuedReplies: false,
    disconnected: false,
  },
  invalidate: () => undefined,
  noteStale: () => undefined,
  dropWaitingReplies: () => undefined,
  describeRequest: describeRespRequest,
};
const ONE: RespCommand['keys'] = [1, 1, 1];
const MANY: RespCommand['keys'] = [1, -1, 1];

/** Opens a connection whose commands execute `run`; `bugs` receives the exceptions that it reports. */
function connect(run: Handler, mutex?: Mutex, socket: Socket = new Socket()) {
  const described = { flags: ['readonly'], categories: [], summary: '', since: '', group: 'string', run } as const;
  const commands: RespCommand[] = [
    { ...described, name: 'getrange', arity: 4, keys: ONE },
    { ...described, name: 'mget', arity: -2, keys: MANY },
  ];
  const table = new CommandTable();
  table.add(commands);
  const memory = InstanceMemory.create();
  const counts = new ReadMetrics(memory, 0);
  const coherence: { current: CoherenceMode } = { current: 'tracking' };
  const pending = new PendingReads('resp', counts);
  const bugs: unknown[] = [];
  const client = { ...CLIENT };
  const trackingClients = new TrackingClients({
    lru: { trustedUntil: Infinity },
    clock: () => 0,
    coherence,
    access: OPEN_ACCESS,
    counts: new ClientTrackingCounts(memory, 0),
    settings: { coherence: 'tracking' },
    warn: () => undefined,
  });
  new RespConnection(socket, client, {
    commands: new Dispatcher({
      table,
      counter: pending,
      counts,
      reads: { checkKeys: () => undefined } as unknown as KeyReads,
      refused: new RefusedCommands(InstanceMemory.create()),
      transactions: new TransactionCommands(() => new ReadPlan({} as CacheService, {} as KeyReads, 0), table),
    }),
    cache: { tryGetInto: () => false } as unknown as CacheService,
    access: { allowsKey: () => true } as unknown as Access,
    trackingClients,
    memory: bufferedBytes(),
    ...{
      pending,
      reads: new SharedReadBuffer(),
      output: new ReplyWriter(),
      get: new GetRequest(),
      query: new QueryRequest(),
      hit: new HitBuffer(),
      mutex,
    },
    ...{ requestTimeoutMs: 1000, idleTimeoutMs: 0, authenticationTimeoutMs: 1000, stallTimeoutMs: 1000 },
    report: (bug) => bugs.push(bug),
  });
  const send = (text: string): boolean => socket.emit('data', Buffer.from(text));
  return { socket, send, bugs, counts, client, trackingClients, coherence };
}

it('an exception in a command closes the connection and releases the mutex', async () => {
  const mutex = new Mutex();
  const bug = new Error('a bug');
  const { socket, send, bugs, counts } = connect(() => {
    throw bug;
  }, mutex);
  const closed = once(socket, 'close');
  send('MGET a b\r\n');
  expect(bugs).toEqual([bug]);
  expect(counts.failures('resp')).toBe(1);
  await closed;
  expect(mutex.tryAcquire()).toBe(true);
});

it.each([
  ['GETRANGE k 0 -1\r\n', 4],
  ['MGET a b\r\n', 4],
  ['MGET a\r\n', 4],
])('of ten pipelined %j, at most %d run concurrently', (request, limit) => {
  let running = 0;
  const { socket, send } = connect(() => {
    running++;
    return new Promise(() => undefined);
  });
  send(request.repeat(10));
  expect(running).toBe(limit);
  socket.destroy();
});

describe('a client that tracks keys', () => {
  const READ = 'MGET k\r\n';
  const push = (...keys: string[]): string =>
    `>2\r\n$10\r\ninvalidate\r\n*${keys.length}\r\n${keys.map((key) => `$${key.length}\r\n${key}\r\n`).join('')}`;
  const PUSH_ALL = '>2\r\n$10\r\ninvalidate\r\n_\r\n';
  const pack = (...keys: string[]): Uint8Array => packKeys(keys.map((key) => Buffer.from(key)));

  /** Opens a connection over RESP3 that tracks the keys it reads; each read waits for its entry in `reads` to be called. */
  function track(isCached = false) {
    const reads: ((value: string) => void)[] = [];
    const socket = new FakeSocket();
    const connection = connect(
      (_args, _client, out) => {
        if (isCached) return out.simple('cached');
        return new Promise((resolve) => reads.push((value) => resolve(() => out.simple(value))));
      },
      undefined,
      socket as unknown as Socket,
    );
    const { client, trackingClients } = connection;
    client.protocol = 3;
    trackingClients.start(client, { broadcast: false, optIn: false, optOut: false, noLoop: false });
    return { ...connection, socket, reads, invalidate: (keys?: Uint8Array) => trackingClients.invalidate(keys) };
  }

  it('receives an invalidation message at once if no reply is pending', async () => {
    const { socket, send, invalidate } = track(true);
    send(READ);
    invalidate(pack('k', 'other'));
    await settled();
    expect(socket.received).toBe(`+cached\r\n${push('k')}`);
    socket.destroy();
  });

  it('receives it at once and again behind the replies that were pending, which may carry the old value', async () => {
    const { socket, send, invalidate, reads } = track();
    send(READ + READ);
    invalidate(pack('k'));
    await settled();
    expect(socket.received).toBe(push('k'));
    send(READ);
    reads[0]('old');
    await settled();
    reads[2]('new');
    reads[1]('old');
    await settled();
    expect(socket.received).toBe(`${push('k')}+old\r\n+old\r\n${push('k')}+new\r\n`);
    socket.destroy();
  });

  it('receives the keys of several messages that wait behind the same reply in one', async () => {
    const { socket, send, invalidate, reads } = track();
    send('MGET k other\r\n');
    invalidate(pack('k'));
    invalidate(pack('other'));
    reads[0]('old');
    await settled();
    expect(socket.received).toBe(`${push('k')}${push('other')}+old\r\n${push('k', 'other')}`);
    socket.destroy();
  });

  it('is notified that everything may have changed if too many keys wait behind a reply', async () => {
    const { socket, send, invalidate, reads } = track();
    send(READ);
    const key = 'k'.repeat(10_000);
    send(`MGET ${key}\r\n`);
    for (let i = 0; i < 10; i++) invalidate(pack(key));
    reads[0]('old');
    reads[1]('old');
    await settled();
    expect(socket.received.endsWith(`+old\r\n+old\r\n${PUSH_ALL}`)).toBe(true);
    expect(socket.received.split(push(key))).toHaveLength(11);
    socket.destroy();
  });

  it.each([
    [true, '+cached\r\n'],
    [false, '+old\r\n'],
  ])(
    'must not cache what it reads while the proxy itself receives no invalidations (cached: %j)',
    async (cached, reply) => {
      const { socket, send, reads, coherence } = track(cached);
      coherence.current = 'resync';
      send(READ);
      reads[0]?.('old');
      await settled();
      expect(socket.received).toBe(`${reply}${push('k')}`);
      coherence.current = 'tracking';
      send(READ);
      reads[1]?.('old');
      await settled();
      expect(socket.received).toBe(`${reply}${push('k')}${reply}`);
      socket.destroy();
    },
  );

  it('is notified of the keys that it has read last before everything is invalidated', async () => {
    const { socket, send, invalidate, reads } = track();
    send(`${READ}MGET other\r\n`);
    reads[0]('old');
    await settled();
    invalidate();
    reads[1]('old');
    await settled();
    invalidate();
    await settled();
    expect(socket.received).toBe(`+old\r\n${push('k', 'other')}${PUSH_ALL}+old\r\n${PUSH_ALL}${PUSH_ALL}`);
    socket.destroy();
  });

  it('receives nothing over RESP2', async () => {
    const { socket, send, invalidate, client } = track(true);
    send(READ);
    client.protocol = 2;
    invalidate(pack('k'));
    invalidate();
    await settled();
    expect(socket.received).toBe('+cached\r\n');
    socket.destroy();
  });

  it('receives its messages when it reads again, and is disconnected if too many of them wait', async () => {
    const key = 'k'.repeat(10_000);
    const many = (count: number): string[] => Array.from({ length: count }, () => key);
    for (const messages of [90, 110]) {
      const { socket, send, invalidate, trackingClients } = track(true);
      send(`MGET ${key}\r\n`);
      socket.isReading = false;
      // More than the socket buffers, so that the connection is known not to be read.
      invalidate(pack(...many(7)));
      for (let i = 0; i < messages; i++) invalidate(pack(key));
      expect([socket.destroyed, trackingClients.counts.disconnections]).toEqual(
        messages > 100 ? [true, 1] : [false, 0],
      );
      socket.readAll();
      await settled();
      if (messages > 100) continue;
      const expected = `+cached\r\n${push(...many(7))}${push(...many(90))}`;
      expect(socket.received === expected).toBe(true);
      socket.destroy();
    }
  });

  it('never keeps an old value, whatever the order of reads, replies, writes and losses of the stream', async () => {
    const key = fc.constantFrom('a', 'b');
    const step = fc.oneof(
      fc.record({ kind: fc.constantFrom('read' as const), key, isCached: fc.boolean() }),
      fc.record({ kind: fc.constantFrom('write' as const), key }),
      fc.record({ kind: fc.constantFrom('reply' as const), index: fc.nat(5) }),
      fc.record({
        kind: fc.constantFrom('lose' as const, 'recover' as const, 'stop reading' as const, 'go on' as const),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const stored = { a: 1, b: 1 } as Record<string, number>;
        const pending: (() => void)[] = [];
        let isCached = false;
        const socket = new FakeSocket();
        const { client, trackingClients, send, coherence } = connect(
          ([name], _client, out) => {
            // A load that is in flight may return the value from before a later write.
            const value = `${name.toString()} ${stored[name.toString()]}`;
            if (isCached) return out.simple(value);
            return new Promise((resolve) => pending.push(() => resolve(() => out.simple(value))));
          },
          undefined,
          socket as unknown as Socket,
        );
        client.protocol = 3;
        trackingClients.start(client, { broadcast: false, optIn: false, optOut: false, noLoop: false });
        for (const each of steps) {
          switch (each.kind) {
            case 'read':
              isCached = each.isCached;
              send(`MGET ${each.key}\r\n`);
              break;
            case 'write':
              stored[each.key]++;
              if (coherence.current === 'tracking') trackingClients.invalidate(pack(each.key));
              break;
            case 'reply':
              pending.splice(each.index, 1)[0]?.();
              await settled();
              break;
            case 'lose':
              if (coherence.current === 'tracking') {
                coherence.current = 'resync';
                trackingClients.invalidate(undefined);
              }
              break;
            case 'recover':
              coherence.current = 'tracking';
              break;
            case 'stop reading':
              socket.isReading = false;
              break;
            case 'go on':
              socket.readAll();
          }
        }
        socket.readAll();
        while (pending.length > 0) {
          pending.shift()?.();
          await settled();
        }
        await settled();
        expect(cacheAfter(socket.received)).toEqual(
          Object.fromEntries(Object.keys(cacheAfter(socket.received)).map((name) => [name, stored[name]])),
        );
        socket.destroy();
      }),
    );

    /** Returns what a client has cached that received these replies and messages in this order. */
    function cacheAfter(received: string): Record<string, number> {
      let cache: Record<string, number> = {};
      for (const [, name, version, all, keys] of received.matchAll(
        /\+(\w) (\d+)\r\n|>2\r\n\$10\r\ninvalidate\r\n(?:(_\r\n)|\*\d+\r\n((?:\$1\r\n\w\r\n)+))/g,
      )) {
        if (name !== undefined) cache[name] = Number(version);
        else if (all !== undefined) cache = {};
        else for (const [, written] of keys.matchAll(/\$1\r\n(\w)/g)) delete cache[written];
      }
      return cache;
    }
  });

  it('no longer counts once it is disconnected', async () => {
    const { socket, trackingClients } = track();
    expect(trackingClients.counts.clients).toBe(1);
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
    expect(trackingClients.counts.clients).toBe(0);
  });
});
