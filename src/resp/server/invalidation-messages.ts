import { packKeys, unpackKeys } from '../../instance/packed-keys.ts';
import type { Place } from '../../net/pipeline/ordered-replies.ts';
import type { PipelinedConnection } from '../../net/pipeline/pipelined-connection.ts';
import type { QueuedReply } from '../protocol/reply.ts';
import type { Client } from './client.ts';
import type { ConnectionContext } from './connection-context.ts';

/** Bytes of messages that wait behind replies; beyond it the client is notified that any key may have been written. */
const MAX_WAITING_BYTES = 64 * 1024;
/** Bytes of messages that wait for a client that does not read; beyond it the client is disconnected. */
const MAX_UNREAD_BYTES = 1024 * 1024;
/** Bytes of memory for the keys of one write to Redis beside the keys themselves, approximately. */
const PACK_BYTES = 128;

/** A message behind all replies that were pending when its keys were written. */
interface WaitingMessage {
  readonly place: Place<QueuedReply>;
  /** Undefined: any key. */
  packs: Uint8Array[] | undefined;
  /** Memory of the packs, which is released when the message was written. */
  readonly memory: ArrayBufferLike[];
  bytes: number;
}

/** The invalidation messages of one connection whose client tracks keys (CLIENT TRACKING). */
export class InvalidationMessages {
  readonly #connection: PipelinedConnection<QueuedReply>;
  readonly #client: Client;
  readonly #context: ConnectionContext;
  /** The last message that waits, and the bytes of all that wait. */
  #last: WaitingMessage | undefined;
  #waitingBytes = 0;

  constructor(connection: PipelinedConnection<QueuedReply>, client: Client, context: ConnectionContext) {
    this.#connection = connection;
    this.#client = client;
    this.#context = context;
  }

  /**
   * Sends a message at once, and again behind all pending replies: these may carry values from before the write, which the
   * client would otherwise cache after the only message. Must not be called within a step of the connection.
   *
   * @param keys undefined: any key may have been written.
   */
  send(keys: readonly Buffer[] | undefined): void {
    const connection = this.#connection;
    const { protocol, tracking } = this.#client;
    if (protocol !== 3) return;
    connection.interject(() => {
      const isUnread = connection.isBackpressured;
      if (isUnread || connection.replies.length > 0) this.sendBehindReplies(keys);
      if (isUnread) return;
      // node-redis ignores that everything is invalidated for reads whose replies it awaits: their keys must be named before.
      const recent = keys === undefined ? tracking?.takeRecent() : undefined;
      if (recent !== undefined && recent.length > 0) this.#write(recent);
      this.#write(keys);
    });
  }

  /** Sends a message once all pending replies were sent; if there are none, behind the bytes in the output. */
  sendBehindReplies(keys: readonly Buffer[] | undefined): void {
    const { replies, isBackpressured } = this.#connection;
    if (this.#client.protocol !== 3) return;
    if (replies.length === 0 && !isBackpressured) return this.#write(keys);
    let last = this.#last;
    if (last === undefined || !replies.isLast(last.place)) last = this.#last = this.#append();
    if (last.packs === undefined) return;
    if (keys === undefined) return this.#replace(last);
    const packed = packKeys(keys);
    const bytes = packed.length + PACK_BYTES;
    if (isBackpressured && this.#waitingBytes + bytes > MAX_UNREAD_BYTES) return this.#disconnect();
    const isTooLong = !isBackpressured && this.#waitingBytes + bytes > MAX_WAITING_BYTES;
    if (isTooLong || !this.#context.memory.tryHold(packed.buffer)) return this.#replace(last);
    last.memory.push(packed.buffer);
    last.packs.push(packed);
    last.bytes += bytes;
    this.#waitingBytes += bytes;
  }

  #write(keys: readonly Buffer[] | undefined): void {
    const { output, trackingClients } = this.#context;
    output.protocol = 3;
    output.invalidation(keys);
    trackingClients.counts.countPush();
    // Bytes that the kernel does not accept at once must not keep the whole buffer of the output.
    if (this.#connection.isSending) this.#connection.flush(output.take());
  }

  #append(): WaitingMessage {
    const memory: ArrayBufferLike[] = [];
    const write = (): void => {
      this.#waitingBytes -= message.bytes;
      if (this.#client.protocol === 3) this.#write(message.packs?.flatMap((packed) => unpackKeys(packed)));
    };
    const place = this.#connection.replies.push({ write, isMultiKey: false }, memory);
    const message: WaitingMessage = { place, packs: [], memory, bytes: 0 };
    return message;
  }

  /** Replaces the keys of a message by all keys. */
  #replace(message: WaitingMessage): void {
    for (const each of message.memory.splice(0)) this.#context.memory.release(each);
    this.#waitingBytes -= message.bytes;
    message.bytes = 0;
    message.packs = undefined;
  }

  #disconnect(): void {
    this.#context.trackingClients.noteUnread(this.#client);
    this.#connection.destroy();
  }
}
