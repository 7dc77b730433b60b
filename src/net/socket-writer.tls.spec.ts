import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { TestAuthority } from '../../test/support/certificates.ts';
import { Secret } from '../config/secret.ts';
import type { ListenerTls } from '../config/settings.ts';
import { directWrite, disableDirectWrite, probeDirectWrite } from './node-internals/direct-write.ts';
import { type SocketPair, openTlsPair } from './node-internals/socket-pair.ts';
import type { BufferAccounting } from './buffer-accounting.ts';
import { SocketWriter } from './socket-writer.ts';

/** Longer than a direct write over TLS. */
const LONG = 100_000;
/** More than the kernel buffers for a client that does not read. */
const TOO_MUCH = 32 * 2 ** 20;

let tls: ListenerTls;
beforeAll(async () => {
  const { cert, key } = await (await TestAuthority.create()).issue(['127.0.0.1']);
  const files = { certFile: '', keyFile: '', clientCaFile: undefined };
  tls = { ...files, cert, key: new Secret(key), clientCa: undefined };
});

const MODES = [
  { mode: 'with direct writes', inUse: true, enter: () => probeDirectWrite(tls) },
  { mode: 'with public API only', inUse: false, enter: () => Promise.resolve(disableDirectWrite('off')) },
];

describe.each(MODES)('SocketWriter over TLS $mode', ({ inUse, enter }) => {
  let pair: SocketPair;
  let writer: SocketWriter;
  let parts: Buffer[];
  let ended: boolean;
  let held: number;
  const memory: BufferAccounting = {
    hasRoom: true,
    tryHold: () => false,
    hold: ({ byteLength }) => (held += byteLength),
    release: ({ byteLength }) => (held -= byteLength),
  };
  const text = (): string => Buffer.concat(parts).toString();

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  }

  beforeAll(enter);
  beforeEach(async () => {
    parts = [];
    ended = false;
    held = 0;
    pair = await openTlsPair(tls, (bytes) => parts.push(Buffer.from(bytes)));
    // The end that TLS announces: without it, the end could be an attack.
    pair.peer.on('end', () => (ended = true));
    writer = new SocketWriter(pair.accepted, memory, () => undefined);
  });
  afterEach(() => pair.destroy());

  it('bypasses the stream only if direct writes are in use, and then for the first write of a turn', async () => {
    const usual = jest.spyOn(pair.accepted, 'write');
    writer.write(Buffer.from('one'));
    writer.write(Buffer.from('two'));
    expect([directWrite.state.inUse, usual.mock.calls.length]).toEqual([inUse, inUse ? 1 : 2]);
    await until(() => text() === 'onetwo' && writer.length === 0);
    writer.write(Buffer.from('three'));
    expect(usual.mock.calls.length).toBe(inUse ? 1 : 3);
    await until(() => text() === 'onetwothree');
    expect(held).toBe(0);
  });

  it('leaves the memory to the caller', async () => {
    const bytes = Buffer.from('one');
    for (const next of ['one', 'two', 'six']) {
      bytes.write(next);
      expect(writer.write(bytes)).toBe(true);
    }
    bytes.write('---');
    await until(() => text() === 'onetwosix');
  });

  it('keeps the order of writes of any kind, and announces the end after them', async () => {
    const { accepted } = pair;
    writer.write(Buffer.from('a'));
    writer.writeAll([Buffer.from('b'), Buffer.from('c')]);
    accepted.write('');
    writer.write(Buffer.alloc(LONG, 'd'));
    accepted.write('e');
    writer.write(Buffer.from('f'));
    accepted.end();
    await until(() => ended);
    expect(text()).toBe(`abc${'d'.repeat(LONG)}ef`);
  });

  it.each(['', 'x'])('writes directly beside a write of the stream, of %j, in any order', async (streamed) => {
    const { accepted } = pair;
    for (let i = 0; i < 50; i++) {
      if (i % 3 > 0) accepted.write(streamed);
      writer.write(Buffer.from(`${i};`));
      if (i % 2 > 0) accepted.write(streamed);
      if (i % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    accepted.end();
    await until(() => ended);
    expect(text().replaceAll('x', '')).toBe(Array.from({ length: 50 }, (_, i) => `${i};`).join(''));
  });

  it('counts what a client does not read', async () => {
    const { peer } = pair;
    peer.pause();
    writer.write(Buffer.alloc(TOO_MUCH, 'a'));
    expect([writer.length, writer.isFull, held]).toEqual([TOO_MUCH, true, TOO_MUCH]);
    peer.resume();
    await until(() => writer.length === 0);
    expect([writer.isFull, held]).toEqual([false, 0]);
  });

  it.each([1, LONG])(
    'ends the connection if a client has reset it, with a write of %d bytes, while it is not read from',
    async (length) => {
      const { accepted, peer } = pair;
      const errors: unknown[] = [];
      accepted.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code));
      accepted.pause();
      const gone = once(peer, 'close');
      peer.destroy();
      await gone;
      // The client's system replies to the first bytes with a reset.
      for (let i = 0; !accepted.destroyed && i < 1000; i++) {
        writer.write(Buffer.alloc(length));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await until(() => held === 0 && accepted.destroyed);
      expect(['EPIPE', 'ECONNRESET', 'EOF']).toContain(errors[0]);
    },
  );

  it('ends a direct write when the socket is destroyed, and accepts further ones', async () => {
    const { accepted } = pair;
    writer.write(Buffer.from('one'));
    accepted.write('two');
    accepted.destroy();
    await until(() => accepted.closed);
    expect(writer.write(Buffer.from('late'))).toBe(true);
    await until(() => held === 0);
  });
});
