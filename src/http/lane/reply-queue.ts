import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';

/** Bytes below which head and body are joined rather than written one after the other. */
const JOINED_BYTES = 16 * 1024;

/** An answer whose place in the order is kept. */
export interface Reply {
  /** Undefined until there is an answer. */
  head: string | undefined;
  body: Buffer;
}

export const NO_BODY = Buffer.alloc(0);

/** The answers that wait for one before them, in the order of their requests. */
export class ReplyQueue {
  readonly #socket: Socket;
  readonly #replies: Reply[] = [];
  #bytes = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get length(): number {
    return this.#replies.length;
  }

  /** Bytes of the bodies that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether no other answer is under way than this one. */
  isOnly(reply: Reply): boolean {
    return this.#replies.length === 1 && this.#replies[0] === reply;
  }

  /** Forgets the one place that there is, as its answer is sent some other way. */
  clear(): void {
    this.#replies.length = 0;
  }

  /** Whether no request was made after the one that is answered by this. */
  isLast(reply: Reply): boolean {
    return this.#replies.at(-1) === reply;
  }

  /** Keeps a place for an answer that is to come. */
  reserve(): Reply {
    const reply: Reply = { head: undefined, body: NO_BODY };
    this.#replies.push(reply);
    return reply;
  }

  /** Gives an answer its place, or the one that was kept for it. */
  put(head: string, body: Buffer, reply = this.reserve()): void {
    reply.head = head;
    reply.body = body;
    this.#bytes += body.length;
  }

  /** Sends the answers that wait for none any more. */
  send(): void {
    const waiting = this.#replies.findIndex(({ head }) => head === undefined);
    const ready = this.#replies.splice(0, waiting === -1 ? this.#replies.length : waiting);
    if (ready.length === 0) return;
    if (ready.length > 1) this.#socket.cork();
    for (const { head = '', body } of ready) {
      this.#bytes -= body.length;
      writeMessage(this.#socket, head, body);
    }
    if (ready.length > 1) this.#socket.uncork();
  }
}

/** Sends one answer. */
export function writeMessage(socket: Socket, head: string, body: Buffer): void {
  if (body.length <= JOINED_BYTES) {
    const message = Buffer.allocUnsafe(head.length + body.length);
    message.write(head, 'latin1');
    message.set(body, head.length);
    socket.write(message);
  } else {
    socket.cork();
    socket.write(head, 'latin1');
    socket.write(body);
    socket.uncork();
  }
}
