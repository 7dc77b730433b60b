import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { directWrite, disableDirectWrite, probeDirectWrite } from './node-internals/direct-write.ts';
import type { BufferAccounting } from './buffer-accounting.ts';
import { SocketWriter } from './socket-writer.ts';

/** More than the kernel takes for a client that does not read. */
const TOO_MUCH = 32 * 2 ** 20;

const MODES = [
  { mode: 'with direct writes', inUse: true, enter: () => probeDirectWrite() },
  { mode: 'with public API only', inUse: false, enter: () => Promise.resolve(disableDirectWrite('off')) },
];

describe.each(MODES)('Outlet $mode', ({ inUse, enter }) => {
  let server: Server;
  let client: Socket;
  let socket: Socket;
  let outlet: SocketWriter;
  let drained: number;
  /** Bytes of memory that are held. */
  let held: number;
  const memory: BufferAccounting = {
    hasRoom: true,
    tryHold: () => false,
    hold: ({ byteLength }) => (held += byteLength),
    release: ({ byteLength }) => (held -= byteLength),
  };

  const open = async (): Promise<void> => {
    server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    [socket] = (await once(server, 'connection')) as [Socket];
    drained = 0;
    held = 0;
    // As connections do: the outlet tells of direct writes, the socket of those in its queue.
    const drain = (): void => void drained++;
    outlet = new SocketWriter(socket, memory, drain);
    socket.on('drain', drain);
  };
  const close = async (): Promise<void> => {
    client.destroy();
    socket.destroy();
    server.close();
    await once(server, 'close');
  };

  beforeAll(enter);
  beforeEach(open);
  afterEach(close);

  /** All that the client receives until the end. */
  async function received(): Promise<Buffer> {
    const parts: Buffer[] = [];
    client.on('data', (part: Buffer) => parts.push(part)).resume();
    await once(client, 'end');
    return Buffer.concat(parts);
  }

  it('writes directly only while that is in use', async () => {
    const usual = jest.spyOn(socket, 'write');
    expect([outlet.write(Buffer.from('one')), outlet.write(Buffer.from('two'))]).toEqual([true, true]);
    expect([directWrite.state.inUse, usual.mock.calls.length]).toEqual([inUse, inUse ? 0 : 2]);
    socket.end();
    expect(String(await received())).toBe('onetwo');
  });

  it('is done with the memory of what the kernel takes at once', async () => {
    const bytes = Buffer.from('one');
    expect(outlet.write(bytes)).toBe(true);
    bytes.write('two');
    expect(outlet.write(bytes)).toBe(true);
    expect([outlet.length, outlet.isFull]).toEqual([0, false]);
    socket.end();
    expect(String(await received())).toBe('onetwo');
    expect(drained).toBe(0);
  });

  it('counts what it does not, and tells when it has', async () => {
    client.pause();
    expect(outlet.write(Buffer.alloc(TOO_MUCH, 'a'))).toBe(false);
    expect([outlet.length, outlet.isFull, drained]).toEqual([TOO_MUCH, true, 0]);
    client.resume();
    while (drained === 0) await new Promise((resolve) => setImmediate(resolve));
    expect([outlet.length, outlet.isFull, drained]).toEqual([0, false, 1]);
  });

  it('keeps the order, whatever else is written to the socket meanwhile, and all arrives before the end', async () => {
    client.pause();
    outlet.write(Buffer.alloc(TOO_MUCH, 'a'));
    expect(outlet.write(Buffer.from('b'))).toBe(false);
    outlet.writeAll([Buffer.from('c'), Buffer.from('d')]);
    socket.write('e');
    expect(outlet.length).toBe(TOO_MUCH + 4);
    socket.destroySoon();
    const bytes = await received();
    expect([bytes.length, String(bytes.subarray(TOO_MUCH - 1))]).toEqual([TOO_MUCH + 4, 'abcde']);
  });

  // Of what is in the queue of its stream the socket's own time-out knows.
  (inUse ? it : it.skip)('tells a client that reads slowly from one that does not read', async () => {
    client.pause();
    expect(outlet.hasMoved()).toBe(false);
    outlet.write(Buffer.alloc(TOO_MUCH));
    expect([outlet.hasMoved(), outlet.hasMoved()]).toEqual([false, false]);
    let read = 0;
    client.on('data', (part: Buffer) => {
      if ((read += part.length) > TOO_MUCH / 4) client.pause();
    });
    client.resume();
    while (!outlet.hasMoved()) await new Promise((resolve) => setImmediate(resolve));
    expect(outlet.length).toBe(TOO_MUCH);
    client.removeAllListeners('data').resume();
    while (outlet.length > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(outlet.hasMoved()).toBe(false);
  });

  it('ends with its socket, whether something is under way or not', async () => {
    client.pause();
    outlet.write(Buffer.alloc(TOO_MUCH));
    socket.destroy();
    await once(socket, 'close');
    expect(outlet.write(Buffer.from('late'))).toBe(true);
    expect(outlet.length).toBe(0);
  });

  it('ends its socket when the kernel refuses', async () => {
    const failed = once(socket, 'error');
    socket.end();
    await once(socket, 'finish');
    outlet.write(Buffer.from('late'));
    expect((await failed)[0]).toMatchObject({ code: inUse ? 'EPIPE' : 'ERR_STREAM_WRITE_AFTER_END' });
    expect(socket.destroyed).toBe(true);
  });
});
