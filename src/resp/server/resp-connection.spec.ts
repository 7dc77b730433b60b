import { once } from 'node:events';
import { Socket } from 'node:net';
import { expect, it } from '@jest/globals';
import type { Access } from '../../access/access.ts';
import type { CacheService } from '../../cache/cache.service.ts';
import { bufferedBytes } from '../../cache/read-through/buffered-bytes.spec-support.ts';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { InstanceMemory } from '../../instance/instance-memory.ts';
import { PendingReads } from '../../instance/pending-reads.ts';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import type { KeyReads } from '../../redis-commands/key-reads.ts';
import { RefusedCommands } from '../../redis-commands/refused-commands.ts';
import { ReadPlan } from '../../redis-commands/read-plan.ts';
import { Mutex } from '../../net/mutex.ts';
import { SharedReadBuffer } from '../../net/shared-read-buffer.ts';
import type { Client } from './client.ts';
import type { RespCommand, Handler } from '../commands/resp-command.ts';
import { CommandTable } from '../commands/command-table.ts';
import { Dispatcher } from '../commands/dispatcher.ts';
import { RespConnection } from './resp-connection.ts';
import { GetRequest } from '../protocol/get-request.ts';
import { ReplyWriter } from '../protocol/reply-writer.ts';
import { TransactionCommands } from '../commands/transaction-commands.ts';

const CLIENT: Client = {
  ...{ id: 1, address: '', localAddress: '', connectedAt: 0, protocol: 2, authenticated: true, credential: undefined },
  ...{ name: '', libraryName: '', libraryVersion: '', transaction: undefined, quitting: false, disconnected: false },
  dropWaitingReplies: () => undefined,
};
const ONE: RespCommand['keys'] = [1, 1, 1];
const MANY: RespCommand['keys'] = [1, -1, 1];

/** Opens a connection whose commands execute `run`; `bugs` receives the exceptions that it reports. */
function connect(run: Handler, mutex?: Mutex) {
  const described = { flags: [], categories: [], summary: '', since: '', group: 'string', run } as const;
  const commands: RespCommand[] = [
    { ...described, name: 'getrange', arity: 4, keys: ONE },
    { ...described, name: 'mget', arity: -2, keys: MANY },
  ];
  const table = new CommandTable();
  table.add(commands);
  const counts = new ReadMetrics(InstanceMemory.create(), 0);
  const pending = new PendingReads('resp', counts);
  const bugs: unknown[] = [];
  const socket = new Socket();
  new RespConnection(
    socket,
    { ...CLIENT },
    {
      commands: new Dispatcher({
        table,
        counter: pending,
        counts,
        reads: { checkKeys: () => undefined } as unknown as KeyReads,
        refused: new RefusedCommands(InstanceMemory.create()),
        transactions: new TransactionCommands(() => new ReadPlan({} as CacheService, {} as KeyReads, 0), table),
      }),
      cache: {} as CacheService,
      access: {} as Access,
      memory: bufferedBytes(),
      ...{
        pending,
        reads: new SharedReadBuffer(),
        output: new ReplyWriter(),
        get: new GetRequest(),
        hit: new HitBuffer(),
        mutex,
      },
      ...{ requestTimeoutMs: 1000, idleTimeoutMs: 0, authenticationTimeoutMs: 1000, stallTimeoutMs: 1000 },
      report: (bug) => bugs.push(bug),
    },
  );
  const send = (text: string): boolean => socket.emit('data', Buffer.from(text));
  return { socket, send, bugs, counts };
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
