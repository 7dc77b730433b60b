import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { probeSharedRead, sharedRead } from './node-internals/shared-read.ts';
import { SharedReadBuffer } from './shared-read-buffer.ts';

const MODES = [
  { mode: 'with shared reads', inUse: true, enter: () => probeSharedRead() },
  { mode: 'with public API only', inUse: false, enter: () => Promise.resolve(sharedRead.disable('off')) },
];

describe.each(MODES)('SharedReadBuffer $mode', ({ inUse, enter }) => {
  const reads = new SharedReadBuffer();
  let server: Server;
  let received: string;
  let memory: Set<ArrayBufferLike>;
  const read = (bytes: Buffer): void => {
    received += String(bytes);
    memory.add(bytes.buffer);
  };

  beforeAll(enter);
  beforeEach(async () => {
    received = '';
    memory = new Set();
    server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(async () => {
    server.close();
    await once(server, 'close');
  });

  /** Opens a connection, and returns both ends. */
  async function open(): Promise<{ client: Socket; socket: Socket }> {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(server, 'connection')) as [Socket];
    return { client, socket };
  }

  const until = async (text: string): Promise<void> => {
    while (received.length < text.length) await new Promise((resolve) => setImmediate(resolve));
    expect(received).toBe(text);
  };

  it('reads all sockets into one buffer', async () => {
    const pairs = [await open(), await open()];
    for (const { socket } of pairs) reads.attach(socket, read);
    pairs[0].client.write('one');
    await until('one');
    pairs[1].client.write(' two');
    await until('one two');
    pairs[0].client.write(' three');
    await until('one two three');
    expect(memory.size === 1).toBe(inUse);
    for (const { client, socket } of pairs) {
      client.end();
      await once(socket, 'end');
      socket.end();
      await once(client, 'close');
    }
  });

  it('does not read a paused socket', async () => {
    const { client, socket } = await open();
    reads.attach(socket, read);
    socket.pause();
    client.end('a'.repeat(100_000));
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(received).toBe('');
    socket.resume();
    await once(socket, 'end');
    expect(received).toHaveLength(100_000);
    socket.end();
  });

  it('makes a detached socket emit data again', async () => {
    const { client, socket } = await open();
    reads.attach(socket, read);
    client.write('one');
    await until('one');
    SharedReadBuffer.detach(socket, read);
    const parts: Buffer[] = [];
    socket.on('data', (part: Buffer) => parts.push(part));
    for (const text of [' two', ' three']) {
      client.write(text);
      await once(socket, 'data');
    }
    client.end();
    await once(socket, 'end');
    expect(received).toBe('one');
    expect(String(Buffer.concat(parts))).toBe(' two three');
    socket.end();
  });

  it('falls back to data events if Node.js lacks the function', async () => {
    const { client, socket } = await open();
    Reflect.set(Reflect.get(socket, '_handle') as object, 'useUserBuffer', undefined);
    reads.attach(socket, read);
    client.end('one');
    await once(socket, 'end');
    expect(received).toBe('one');
    SharedReadBuffer.detach(socket, read);
    expect(socket.listenerCount('data')).toBe(0);
    socket.end();
  });
});
