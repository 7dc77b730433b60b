import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../../test/support/processes.ts';
import { PATIENT_TIMEOUTS } from '../../../test/support/redis.ts';
import { loadSettings } from '../../config/load-settings.ts';
import { ClusterReader } from './cluster-reader.ts';
import type { RedisState } from '../redis-reader.ts';
import type { RedisReply } from '../redis-reply.ts';
import type { ReadSource } from '../replicas/read-sources.ts';
import type { ReplacedNode } from './replaced-node.ts';
import { UNLIMITED_MEMORY } from '../connection/value-memory.ts';
import { Query } from '../query.ts';

/** Returns the reply of a process to a command. */
type CommandHandler = (name: string) => string;

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`;

/** One address of a cluster with changing processes; connections stay with the process that accepted them. */
class Address {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  process: CommandHandler = () => '+OK\r\n';
  /** The node id and the last served slot in CLUSTER SLOTS. */
  view: { id: string; last: number } = { id: 'first', last: 16_383 };
  accepted = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(): Promise<Address> {
    const server = createServer();
    const address = new Address(server);
    server.on('connection', (socket) => address.#accept(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return address;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    this.accepted++;
    this.#sockets.add(socket);
    const { process } = this;
    socket
      .setNoDelay(true)
      .setEncoding('latin1')
      .on('error', () => undefined);
    socket.on('data', (text: string) => {
      for (const [, name] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) socket.write(this.#reply(name, process));
    });
  }

  #reply(name: string, process: CommandHandler): string {
    const { id, last } = this.view;
    switch (name.toLowerCase()) {
      case 'hello':
        return "-ERR unknown command 'HELLO'\r\n";
      case 'info':
        return bulk('loading:0');
      case 'cluster':
        return `*1\r\n*3\r\n:0\r\n:${last}\r\n*3\r\n${bulk('127.0.0.1')}:${this.port}\r\n${bulk(id)}`;
      case 'client':
        return '+OK\r\n';
      default:
        return process(name.toLowerCase());
    }
  }
}

/** Creates a process that serves one value for all keys, and hashes with it. */
const handler =
  (value: string): CommandHandler =>
  (name) =>
    name === 'hgetall'
      ? `*2\r\n${bulk('field')}${bulk(value)}`
      : name === 'get'
        ? bulk(value)
        : name === 'pttl'
          ? ':-1\r\n'
          : '+OK\r\n';

let address: Address;
let reader: ClusterReader;
const replaced: ReplacedNode[] = [];
const GET = Query.get(Buffer.from('key'));
const HGETALL = Query.of(Buffer.from('key'), [Buffer.from('HGETALL')]);
const read = (query = GET): Promise<RedisReply> =>
  new Promise((onReply) => reader.fetch(query, onReply, UNLIMITED_MEMORY));

beforeEach(async () => {
  address = await Address.listen();
  address.process = handler('old');
  const nodes = { REDIS_MODE: 'cluster', REDIS_NODES: `127.0.0.1:${address.port}`, ...PATIENT_TIMEOUTS };
  reader = new ClusterReader(loadSettings(nodes, '/nowhere'));
  replaced.length = 0;
  reader.watchReplaced((node) => replaced.push(node));
});

afterEach(async () => {
  reader.close();
  await address.close();
});

it.each(['MOVED', 'ASK'])(
  '%s to the address of the redirecting node opens a new connection and reads the process behind it',
  async (word) => {
    address.process = () => `-${word} 12539 127.0.0.1:${address.port}\r\n`;
    await reader.connect();
    address.process = handler('new');
    expect(await read()).toMatchObject({ kind: 'value', value: Buffer.from('new') });
    expect(await read(HGETALL)).toMatchObject({
      kind: 'value',
      value: Buffer.from(`*2\r\n${bulk('field')}${bulk('new')}`),
    });
    expect(await reader.ttl(Buffer.from('key'))).toEqual({ kind: 'persistent' });
    expect(replaced).toEqual([{ address: `127.0.0.1:${address.port}`, id: 'first', cause: 'redirect' }]);
  },
);

it.each([
  ['MOVED', undefined],
  ['ASK', 0],
])('%s of a query other than GET is followed, and the reply has a TTL of %s', async (word, ttlMs) => {
  address.process = () => `-${word} 12539 127.0.0.1:${address.port}\r\n`;
  await reader.connect();
  address.process = handler('new');
  const reply = Buffer.from(`*2\r\n${bulk('field')}${bulk('new')}`);
  expect(await read(HGETALL)).toEqual({ kind: 'value', value: reply, ttlMs });
});

it.each(['MOVED', 'ASK'])(
  'a node that keeps replying %s to itself does not cause a connection per read',
  async (word) => {
    address.process = () => `-${word} 12539 127.0.0.1:${address.port}\r\n`;
    await reader.connect();
    for (let i = 0; i < 200; i++) {
      expect(await read()).toEqual({ kind: 'unavailable', reason: 'redirections' });
      expect(await reader.ttl(Buffer.from('key'))).toEqual({ kind: 'unavailable', reason: 'redirections' });
    }
    expect(replaced.length).toBeLessThan(20);
  },
);

it('a cluster is not reported as unreachable while its masters are being connected to for the first time', async () => {
  const states: RedisState[] = [];
  reader.watch((state) => states.push(state));
  await reader.connect();
  expect(states).toEqual([{ reachable: true, missingPermission: undefined }]);
});

it('a responsive node is replaced without a failed read once another node has its address', async () => {
  // The topology is refreshed often while a slot has no master.
  address.view = { id: 'first', last: 16_382 };
  await reader.connect();
  expect(await read()).toMatchObject({ value: Buffer.from('old') });
  address.process = handler('new');
  address.view = { id: 'second', last: 16_382 };
  await until('the new process is read', async () => {
    const replies = await Promise.all([read(), read()]);
    // Reads wait for the new connection.
    expect(replies.map(({ kind }) => kind)).toEqual(['value', 'value']);
    return replies.every((reply) => reply.kind === 'value' && reply.value.toString() === 'new') || undefined;
  });
  expect(replaced).toEqual([{ address: `127.0.0.1:${address.port}`, id: 'first', cause: 'id' }]);
});

describe('a cluster whose replicas are read', () => {
  let replica: Address;
  const latestEpoch = new Int32Array(new SharedArrayBuffer(4));
  const value = (text: string, ttlMs: number | undefined): RedisReply => ({
    kind: 'value',
    value: Buffer.from(text),
    ttlMs,
  });

  /** Replaces the reader by one that loads keys from the replica; returns the states that it reports. */
  async function start(
    readFrom: 'replica' | 'prefer-replica',
    role: ReadSource['role'] = 'replica',
    isReplicaFirst = false,
  ): Promise<readonly RedisState[]> {
    reader.close();
    const states: RedisState[] = [];
    const nodes = { REDIS_MODE: 'cluster', REDIS_NODES: `127.0.0.1:${address.port}`, REDIS_READ_FROM: readFrom };
    reader = new ClusterReader(
      loadSettings({ ...nodes, ...PATIENT_TIMEOUTS, CACHE_COHERENCE: 'tracking' }, '/nowhere'),
    );
    const master = `127.0.0.1:${address.port}`;
    const node = { host: '127.0.0.1', port: replica.port, id: 'replica' };
    const source = role === 'replica' ? { master, role, replica: node } : { master, role };
    latestEpoch[0] = 1;
    reader.watch((state) => states.push(state));
    reader.useSources({ epoch: 1, latestEpoch, sources: [source] });
    if (isReplicaFirst) {
      const { accepted } = replica;
      await until('the replica is connected to', () => replica.accepted > accepted || undefined);
      for (let i = 0; i < 20; i++) await setImmediate();
    }
    await reader.connect();
    return states;
  }

  beforeEach(async () => {
    replica = await Address.listen();
    let isReadOnly = false;
    replica.process = (name) => {
      if (name === 'readonly') isReadOnly = true;
      return isReadOnly ? handler('of the replica')(name) : `-MOVED 12539 127.0.0.1:${address.port}\r\n`;
    };
    address.process = handler('of the master');
  });
  afterEach(() => replica.close());

  it('is read from a replica, after READONLY, and its replies may be stored', async () => {
    await start('replica');
    expect(await read()).toEqual(value('of the replica', undefined));
    expect(await reader.check()).toEqual({ kind: 'ok' });
  });

  it('is not reported to be unreachable while the first attempts to connect are made', async () => {
    const reachable = [{ reachable: true, missingPermission: undefined }];
    expect(await start('replica', 'replica', true)).toEqual(reachable);
    expect(await start('prefer-replica', 'replica', true)).toEqual(reachable);
  });

  it('is read from the master while that is selected', async () => {
    await start('prefer-replica', 'master');
    expect(await read()).toEqual(value('of the master', undefined));
  });

  it('replies of a replica are not stored once another server was selected', async () => {
    await start('replica');
    latestEpoch[0] = 2;
    expect(await read()).toEqual(value('of the replica', 0));
  });

  it.each([
    ['MASTERDOWN', '-MASTERDOWN Link with MASTER is down\r\n'],
    ['LOADING', '-LOADING Redis is loading the dataset in memory\r\n'],
    ['CLUSTERDOWN', '-CLUSTERDOWN The cluster is down\r\n'],
  ])('with prefer-replica, %s of a replica leads to the master, whose reply is not stored', async (code, reply) => {
    replica.process = (name) => (name === 'readonly' ? '+OK\r\n' : reply);
    await start('prefer-replica');
    expect(await read()).toEqual(value('of the master', 0));
    expect(await read(HGETALL)).toMatchObject({ kind: 'value', ttlMs: 0 });
    expect(await reader.ttl(Buffer.from('key'))).toEqual({ kind: 'persistent' });
    await start('replica');
    expect(await read()).toMatchObject({ kind: 'unavailable', reason: code });
  });

  it('with prefer-replica, the master confirms that a key does not exist; it may be moving to another one', async () => {
    const missing = (name: string): string => (name === 'pttl' ? ':-2\r\n' : name === 'type' ? '+none\r\n' : '$-1\r\n');
    replica.process = (name) => (name === 'readonly' ? '+OK\r\n' : missing(name));
    const served: string[] = [];
    await start('prefer-replica');
    reader.watchServed((role) => served.push(role));
    expect(await read()).toEqual(value('of the master', 0));
    expect(await reader.ttl(Buffer.from('key'))).toEqual({ kind: 'persistent' });
    expect(await reader.type(Buffer.from('key'))).toEqual({ kind: 'type', type: 'OK' });
    address.process = missing;
    await start('prefer-replica');
    expect(await read()).toEqual({ kind: 'missing' });
    await start('replica');
    expect(await read()).toEqual({ kind: 'missing' });
    expect(served).toEqual(['replica', 'master', 'replica', 'master', 'replica', 'master']);
  });

  it('a reply to which a replica has redirected is not stored', async () => {
    replica.process = (name) => (name === 'readonly' ? '+OK\r\n' : `-MOVED 12539 127.0.0.1:${address.port}\r\n`);
    await start('replica');
    expect(await read()).toEqual(value('of the master', 0));
  });

  it('without a server that can be read fails, or is read from the master and not stored', async () => {
    const states = await start('replica', 'none');
    expect(await read()).toEqual({ kind: 'unavailable', reason: 'no replica can be read' });
    expect(await reader.check()).toEqual({ kind: 'unavailable', reason: 'no replica can be read' });
    expect(states).toEqual([{ reachable: false, reason: '1 of 1 masters: no replica can be read' }]);
    await start('prefer-replica', 'none');
    expect(await read()).toEqual(value('of the master', 0));
  });
});
