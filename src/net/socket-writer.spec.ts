import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { directWrite, disableDirectWrite, probeDirectWrite } from './node-internals/direct-write.ts';
import type { BufferAccounting } from './buffer-accounting.ts';
import { SocketWriter } from './socket-writer.ts';

/** More than the kernel buffers for a client that does not read. */
const TOO_MUCH = 32 * 2 ** 20;

const MODES = [
  { mode: 'with direct writes', inUse: true, enter: () => probeDirectWrite() },
  { mode: 'with public API only', inUse: false, enter: () => Promise.resolve(disableDirectWrite('off')) },
];

describe.each(MODES)('SocketWriter $mode', ({ inUse, enter }) => {
  let server: Server;
  let client: Socket;
  let socket: Socket;
  let writer: SocketWriter;
  let drained: number;
  /** Bytes of memory counted as buffered. */
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
    // As connections do: the writer reports direct writes, the socket those in its queue.
    const drain = (): void => void drained++;
    writer = new SocketWriter(socket, memory, drain);
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

  /** Reads all that the client receives until the end. */
  async function received(): Promise<Buffer> {
    const parts: Buffer[] = [];
    client.on('data', (part: Buffer) => parts.push(part)).resume();
    await once(client, 'end');
    return Buffer.concat(parts);
  }

  it('bypasses the stream only if direct writes are in use', async () => {
    const usual = jest.spyOn(socket, 'write');
    expect([writer.write(Buffer.from('one')), writer.write(Buffer.from('two'))]).toEqual([true, true]);
    expect([directWrite.state.inUse, usual.mock.calls.length]).toEqual([inUse, inUse ? 0 : 2]);
    socket.end();
    expect(String(await received())).toBe('onetwo');
  });

  it('allows memory to be reused that was handed to the kernel', async () => {
    const bytes = Buffer.from('one');
    expect(writer.write(bytes)).toBe(true);
    bytes.write('two');
    expect(writer.write(bytes)).toBe(true);
    expect([writer.length, writer.isFull]).toEqual([0, false]);
    socket.end();
    expect(String(await received())).toBe('onetwo');
    expect(drained).toBe(0);
  });

  it('counts a pending write, and calls back when it has completed', async () => {
    client.pause();
    expect(writer.write(Buffer.alloc(TOO_MUCH, 'a'))).toBe(false);
    expect([writer.length, writer.isFull, drained]).toEqual([TOO_MUCH, true, 0]);
    client.resume();
    while (drained === 0) await new Promise((resolve) => setImmediate(resolve));
    expect([writer.length, writer.isFull, drained]).toEqual([0, false, 1]);
  });

  it('keeps the order of direct and queued writes, and sends all before the end', async () => {
    client.pause();
    writer.write(Buffer.alloc(TOO_MUCH, 'a'));
    expect(writer.write(Buffer.from('b'))).toBe(false);
    writer.writeAll([Buffer.from('c'), Buffer.from('d')]);
    socket.write('e');
    expect(writer.length).toBe(TOO_MUCH + 4);
    socket.destroySoon();
    const bytes = await received();
    expect([bytes.length, String(bytes.subarray(TOO_MUCH - 1))]).toEqual([TOO_MUCH + 4, 'abcde']);
  });

  // The socket's own time-out observes the writes in its queue.
  (inUse ? it : it.skip)('distinguishes a client that reads slowly from one that does not read', async () => {
    client.pause();
    expect(writer.hasProgressed()).toBe(false);
    writer.write(Buffer.alloc(TOO_MUCH));
    expect([writer.hasProgressed(), writer.hasProgressed()]).toEqual([false, false]);
    let read = 0;
    client.on('data', (part: Buffer) => {
      if ((read += part.length) > TOO_MUCH / 4) client.pause();
    });
    client.resume();
    while (!writer.hasProgressed()) await new Promise((resolve) => setImmediate(resolve));
    expect(writer.length).toBe(TOO_MUCH);
    client.removeAllListeners('data').resume();
    while (writer.length > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(writer.hasProgressed()).toBe(false);
  });

  it('accepts writes after the socket was destroyed, without an effect', async () => {
    client.pause();
    writer.write(Buffer.alloc(TOO_MUCH));
    socket.destroy();
    await once(socket, 'close');
    expect(writer.write(Buffer.from('late'))).toBe(true);
    expect(writer.length).toBe(0);
  });

  it('destroys the socket if a write fails', async () => {
    const failed = once(socket, 'error');
    socket.end();
    await once(socket, 'finish');
    writer.write(Buffer.from('late'));
    expect((await failed)[0]).toMatchObject({ code: inUse ? 'EPIPE' : 'ERR_STREAM_WRITE_AFTER_END' });
    expect(socket.destroyed).toBe(true);
  });
});
