import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HitBuffer } from '../../cache/shared-lru/hit-buffer.ts';
import { bufferedBytes } from '../../cache/read-through/buffered-bytes.spec-support.ts';
import { SocketWriter } from '../../net/socket-writer.ts';
import { type Parsed, parseReplies } from './reply-model.spec-support.ts';
import { type Protocol, ReplyWriter } from './reply-writer.ts';

type Tree =
  | { readonly simple: string }
  | { readonly error: string }
  | { readonly integer: number }
  | { readonly bulk: string }
  | { readonly hit: string }
  | { readonly verbatim: string }
  | { readonly null: true }
  | { readonly array: readonly Tree[] }
  | { readonly map: readonly (readonly [Tree, Tree])[] };

const { tree } = fc.letrec<{ tree: Tree }>((tie) => {
  const bytes = fc
    .oneof(
      fc.uint8Array({ maxLength: 100 }),
      fc.nat(100_000).map((length) => new Uint8Array(length).fill(length)),
    )
    .map((found) => Buffer.from(found).toString('latin1'));
  const line = fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ''));
  return {
    tree: fc.oneof(
      { maxDepth: 3 },
      line.map((simple) => ({ simple })),
      line.map((error) => ({ error: `ERR ${error}` })),
      fc.integer().map((integer) => ({ integer })),
      bytes.map((bulk) => ({ bulk })),
      bytes.map((hit) => ({ hit: hit.slice(0, 16_384) })),
      line.map((verbatim) => ({ verbatim })),
      fc.constant({ null: true } as const),
      fc.array(tie('tree'), { maxLength: 4 }).map((array) => ({ array })),
      fc.array(fc.tuple(tie('tree'), tie('tree')), { maxLength: 3 }).map((map) => ({ map })),
    ),
  };
});

const hit = new HitBuffer();

function write(reply: Tree, out: ReplyWriter, full: () => void): void {
  if ('simple' in reply) out.simple(reply.simple);
  else if ('error' in reply) out.error(reply.error);
  else if ('integer' in reply) out.integer(reply.integer);
  else if ('bulk' in reply) out.bulk(Buffer.from(reply.bulk, 'latin1'));
  else if ('verbatim' in reply) out.verbatim(reply.verbatim);
  else if ('null' in reply) out.null();
  else if ('hit' in reply) {
    hit.length = hit.bytes.write(reply.hit, 'latin1');
    if (!out.hasRoom(hit.length)) full();
    out.hit(hit);
  } else if ('array' in reply) {
    out.array(reply.array.length);
    for (const element of reply.array) write(element, out, full);
  } else {
    out.map(reply.map.length);
    for (const element of reply.map.flat()) write(element, out, full);
  }
}

/** Returns the reply as a client parses it. */
function expected(reply: Tree, protocol: Protocol): Parsed {
  if ('simple' in reply) return `+${reply.simple}`;
  if ('error' in reply) return `-${reply.error}`;
  if ('integer' in reply) return reply.integer;
  if ('bulk' in reply) return `$${reply.bulk}`;
  if ('hit' in reply) return `$${reply.hit}`;
  if ('verbatim' in reply) return protocol === 3 ? `=txt:${reply.verbatim}` : `$${reply.verbatim}`;
  if ('null' in reply) return null;
  if ('array' in reply) return reply.array.map((element) => expected(element, protocol));
  const flat = reply.map.flat().map((element) => expected(element, protocol));
  return protocol === 3 ? { map: flat } : flat;
}

/** A socket that can delay all writes until {@link bytes} is read, like one whose client does not read. */
class SlowSocket extends Writable {
  /** Null: there is no native handle for direct writes. */
  readonly _handle = null;
  readonly received: Buffer[] = [];
  readonly #releases: (() => void)[] = [];
  #slow: boolean;

  constructor(slow: boolean) {
    super({ highWaterMark: 2 ** 30 });
    this.#slow = slow;
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const receive = (): void => {
      this.received.push(Buffer.from(chunk));
      done();
    };
    if (this.#slow) this.#releases.push(receive);
    else receive();
  }

  get bytes(): Buffer {
    this.#slow = false;
    for (const release of this.#releases.splice(0)) release();
    return Buffer.concat(this.received);
  }
}

const writerTo = (socket: SlowSocket): SocketWriter =>
  new SocketWriter(socket as unknown as Socket, bufferedBytes(), () => undefined);

describe('ReplyWriter', () => {
  const protocols = fc.constantFrom<Protocol>(2, 3);

  it('encodes replies that a client parses back, in both protocols, flushed together or one by one, read early or late', () => {
    const out = new ReplyWriter();
    fc.assert(
      fc.property(
        fc.array(tree, { maxLength: 6 }),
        protocols,
        fc.boolean(),
        fc.boolean(),
        (replies, protocol, slow, each) => {
          const socket = new SlowSocket(slow);
          const writer = writerTo(socket);
          out.protocol = protocol;
          for (const reply of replies) {
            write(reply, out, () => out.flush(writer));
            if (each) out.flush(writer);
          }
          out.flush(writer);
          expect(out.length).toBe(0);
          // Replies of other connections must not overwrite bytes that this socket has not sent yet.
          out.bulk('x'.repeat(1000));
          out.take();
          expect(parseReplies(socket.bytes)).toEqual(replies.map((reply) => expected(reply, protocol)));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('writes replies that were taken before, behind others', () => {
    const out = new ReplyWriter();
    fc.assert(
      fc.property(tree, tree, (first, second) => {
        const socket = new SlowSocket(false);
        const writer = writerTo(socket);
        out.protocol = 3;
        const full = (): void => out.flush(writer);
        write(second, out, () => undefined);
        const { length } = out;
        const parts = out.take();
        expect(Buffer.concat(parts)).toHaveLength(length);
        write(first, out, full);
        out.put(parts);
        out.flush(writer);
        expect(parseReplies(socket.bytes)).toEqual([first, second].map((reply) => expected(reply, 3)));
      }),
      { numRuns: 200 },
    );
  });

  it('gives short replies that are taken memory of their own, so that no more is counted than they need', () => {
    const out = new ReplyWriter();
    out.simple('PONG');
    const [part] = out.take();
    expect([part.toString(), part.buffer.byteLength]).toEqual(['+PONG\r\n', 7]);
  });

  it('replaces line ends in errors with spaces', () => {
    const out = new ReplyWriter();
    out.error('ERR a\r\nb');
    expect(Buffer.concat(out.take()).toString()).toBe('-ERR a  b\r\n');
  });

  it('reports no room before hits exceed the size of one write', () => {
    const out = new ReplyWriter();
    hit.length = 16_384;
    let hits = 0;
    for (; out.hasRoom(hit.length); hits++) out.hit(hit);
    expect(hits).toBe(3);
    expect(out.length).toBeLessThanOrEqual(65_536);
    out.take();
  });
});
