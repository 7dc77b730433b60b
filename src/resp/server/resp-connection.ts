import type { Socket } from 'node:net';
import type { Client } from './client.ts';
import { isFault } from '../../net/socket-fault.ts';
import { SocketWriter } from '../../net/socket-writer.ts';
import { FAREWELL_MS, TURN_WRITE_TIMEOUT_MS } from '../../net/time-limits.ts';
import type { ConnectionContext } from './connection-context.ts';
import { InputBuffer } from '../protocol/input-buffer.ts';
import { OrderedReplies, type Place } from '../../net/ordered-replies.ts';
import type { Reply } from '../protocol/reply.ts';
import { WRITE_BYTES } from '../protocol/reply-writer.ts';
import { type RequestLimits, RequestParser } from '../protocol/request-parser.ts';

const LIMITS: RequestLimits = {
  maxArguments: 1101,
  maxBulkBytes: 128 * 1024,
  maxRequestBytes: 256 * 1024,
  unauthenticated: false,
};
/** As in Redis. */
const UNAUTHENTICATED_LIMITS: RequestLimits = {
  maxArguments: 10,
  maxBulkBytes: 16 * 1024,
  maxRequestBytes: 256 * 1024,
  unauthenticated: true,
};

/**
 * Requests of many keys that wait for Redis at once: each may hold the values of one whole reply, and how long they are is
 * not known before.
 */
const MAX_BATCHES = 4;

const NO_VALUES: readonly Buffer[] = [];

/** A reply that is known. */
interface Queued {
  readonly write: () => void;
  readonly isBatch: boolean;
}

/** The first words of requests that a browser can be made to send to this port; Redis cuts their sender off, too. */
const HTTP_WORDS = /^(?:post|host:)$/i;

/**
 * One connection: reads requests, carries them out in their order, and sends the replies in that order. While a reply is
 * still to come, the requests after it are carried out, so that their loads run at once. It reads no further while too
 * many replies are queued, while the client does not read those there are, or while others have their turn.
 */
export class RespConnection {
  readonly #socket: Socket;
  readonly #outlet: SocketWriter;
  readonly #front: ConnectionContext;
  readonly #client: Client;
  readonly #parser = new RequestParser();
  readonly #kept = new InputBuffer();
  readonly #queue: OrderedReplies<Queued>;
  #batches = 0;
  /** Something was received since the last look. */
  #heard = true;
  #heardAt = 0;
  /** When it was last known who the client is, or it came. */
  #knownAt = performance.now();
  /** The client does not read. */
  #choked = false;
  /** A request waits for its turn. */
  #inLine = false;
  /** A request is under way, and nobody else's may be. */
  #hasTurn = false;
  /** Runs while the turn waits for the client to read. */
  #turnTimer: NodeJS.Timeout | undefined;
  /** Requests are read as far as they have been received. */
  #finishing = false;
  /** No more requests are read. */
  #ended = false;
  #saidFarewell = false;
  /** The socket reads nothing for the time being. */
  #paused = false;
  #waking = false;
  /** Runs while a part of a request is there. */
  #partTimer: NodeJS.Timeout | undefined;
  /** A request has been read since the timer was started. */
  #advanced = false;

  constructor(socket: Socket, client: Client, front: ConnectionContext) {
    this.#socket = socket;
    this.#client = client;
    this.#front = front;
    const drained = (): void => this.#guard(() => this.#drained());
    this.#outlet = new SocketWriter(socket, front.memory, drained);
    this.#queue = new OrderedReplies(front.memory, this.#outlet);
    socket.on('drain', drained);
    socket.on('timeout', () => this.#timeOut());
    socket.on('end', () => this.finish());
    socket.on('error', (error) => (isFault(error) ? this.#fail(error) : socket.destroy()));
    socket.once('close', () => this.#closed());
  }

  /** Whether everything that was asked is answered. */
  get idle(): boolean {
    return this.#queue.length === 0 && !this.#inLine && this.#outlet.length === 0;
  }

  /** Ends the connection if the client has asked nothing, or not authenticated, for too long. */
  expire(now: number): void {
    const { idleTimeoutMs, authenticationTimeoutMs } = this.#front;
    if (this.#heard) this.#heardAt = now;
    this.#heard = false;
    if (this.#client.authenticated) this.#knownAt = now;
    const isIdle = idleTimeoutMs > 0 && now - this.#heardAt > idleTimeoutMs && this.idle;
    if (isIdle || now - this.#knownAt > authenticationTimeoutMs) this.#socket.destroy();
  }

  /** Takes what was received: the first `length` bytes, which change later. Answers whether more may be read. */
  receive(bytes: Buffer, length: number): boolean {
    this.#heard = true;
    if (!this.#ended) this.#guard(() => this.#take(bytes, length));
    return this.#ended || !this.#paused;
  }

  /** Reads no more than was received, and ends when that is answered. */
  finish(): void {
    this.#finishing = true;
    this.#guard(() => this.#settle());
  }

  /**
   * Ends the connection if the token that it was opened with is one no more: what is under way is answered, no more is.
   * Clients turn to a new connection when one ends, and authenticate there with the token they have now; to an error
   * that asks for it they do not.
   */
  endIfRevoked(): void {
    const client = this.#client;
    if (client.credential === undefined || this.#front.access.stillAccepts(client.credential)) return;
    client.authenticated = false;
    client.credential = undefined;
    this.finish();
  }

  /** Ends the connection, and it alone, when there is a bug: nothing of its replies may be left for another one. */
  #guard(step: () => void): void {
    try {
      step();
      this.#front.pending.commit();
    } catch (bug) {
      this.#fail(bug);
    }
  }

  #fail(bug: unknown): void {
    this.#front.report(bug);
    this.#front.pending.discard(this.#queue.length);
    this.#front.out.clear();
    this.#ended = true;
    this.#socket.destroy();
  }

  #take(bytes: Buffer, length: number): void {
    if (this.#kept.length === 0) {
      const at = this.#run(bytes, 0, length);
      if (at < length) this.#kept.add(bytes, at, length);
    } else {
      this.#kept.add(bytes, 0, length);
      this.#runKept();
    }
    this.#settle();
    this.#paused = this.#held && !this.#ended;
  }

  #run(bytes: Buffer, from: number, end: number): number {
    const { get, hit, out, cache, access } = this.#front;
    const parser = this.#parser;
    let at = from;
    let hits = 0;
    let released = 0;
    let direct = this.#direct;
    while (at < end && !this.#held) {
      if (
        direct &&
        get.match(bytes, at, end) &&
        access.allowsKey(bytes, get.from, get.to) &&
        cache.hit(bytes, get.from, get.to, hit)
      ) {
        if (!out.hasRoom(hit.length)) this.#flush();
        out.hit(hit);
        hits++;
        at = get.to + 2;
        continue;
      }
      if (!parser.next(bytes, at, end, this.#client.authenticated ? LIMITS : UNAUTHENTICATED_LIMITS)) {
        if (parser.problem !== undefined) this.#refuse(parser.problem);
        released = parser.release();
        break;
      }
      const request = parser.argumentsOf(bytes, at);
      at += parser.length;
      if (request.length > 0) this.#execute(request, parser.excess);
      direct = this.#direct;
    }
    this.#front.pending.hits += hits;
    if (at > from) this.#advanced = true;
    return at + released;
  }

  /** Whether replies may be written without asking who else has one to be written. */
  get #direct(): boolean {
    return (
      this.#client.authenticated &&
      this.#client.transaction === undefined &&
      this.#front.sequencer === undefined &&
      this.#queue.length === 0 &&
      !this.#parser.inRequest
    );
  }

  get #held(): boolean {
    return (
      this.#choked || this.#ended || this.#inLine || this.#hasTurn || this.#batches >= MAX_BATCHES || this.#queue.isFull
    );
  }

  #runKept(): void {
    const kept = this.#kept;
    kept.drop(this.#run(kept.bytes, 0, kept.length));
  }

  /**
   * Carries a request out, in its turn.
   *
   * @param excess how it is too large, if it is.
   */
  #execute(request: readonly Buffer[], excess: string | undefined): void {
    const { sequencer } = this.#front;
    if (sequencer === undefined) return this.#carryOut(request, excess);
    if (sequencer.tryEnter()) return this.#inTurn(request, excess);
    const held = request.map((argument) => Buffer.from(argument));
    this.#inLine = true;
    sequencer.wait(() => {
      this.#inLine = false;
      if (this.#socket.destroyed) return sequencer.leave();
      this.#guard(() => this.#inTurn(held, excess));
      this.#wake();
    });
  }

  #inTurn(request: readonly Buffer[], excess: string | undefined): void {
    this.#hasTurn = true;
    this.#carryOut(request, excess);
    if (this.#queue.length === 0) this.#leave();
  }

  /** Ends the turn once the replies have been handed to the kernel, or if that takes too long. */
  #leave(): void {
    this.#flush();
    if (this.#choked) this.#turnTimer ??= setTimeout(() => this.#endTurn(), TURN_WRITE_TIMEOUT_MS);
    else this.#endTurn();
  }

  #endTurn(): void {
    clearTimeout(this.#turnTimer);
    this.#turnTimer = undefined;
    this.#hasTurn = false;
    this.#front.sequencer?.leave();
  }

  #carryOut(request: readonly Buffer[], excess: string | undefined): void {
    const { commands, out } = this.#front;
    const client = this.#client;
    if (HTTP_WORDS.test(request[0].toString('latin1', 0, 5))) {
      this.#socket.destroy();
      this.#ended = true;
      return;
    }
    out.protocol = client.protocol;
    const behind = this.#queue.length > 0;
    const replied = commands.execute(request, client, out, excess);
    if (replied !== undefined) {
      const requestBytes = request.reduce((sum, { length }) => sum + length, 0);
      this.#await(replied, requestBytes, commands.takesMany(request));
    } else if (behind) {
      const bytes = out.length;
      const parts = out.take();
      const write = (): void => out.put(parts);
      this.#queue.push(
        { write, isBatch: false },
        parts.map(({ buffer }) => buffer),
        bytes,
      );
    } else if (out.length >= WRITE_BYTES) {
      this.#flush();
    }
    if (client.quitting) this.#ended = true;
  }

  #await(replied: Promise<Reply>, requestBytes: number, isBatch: boolean): void {
    // What stands before it can be sent.
    this.#flush();
    if (isBatch) this.#batches++;
    this.#settleLater(this.#queue.reserve(requestBytes), replied, isBatch);
  }

  /** Gives a reply its place when it is known. */
  #settleLater(place: Place<Queued>, replied: Promise<Reply>, isBatch: boolean): void {
    const { out, pending, report } = this.#front;
    replied
      .catch((bug: unknown): Reply => {
        report(bug);
        pending.countFailure();
        return () => out.error('ERR internal error');
      })
      .then((reply) => {
        if (this.#socket.destroyed) return;
        const { values = NO_VALUES, again } = reply;
        const bytes = values.reduce((sum, { length }) => sum + length, 0);
        const isKept = this.#queue.settle(
          place,
          { write: reply, isBatch },
          values.map(({ buffer }) => buffer),
          bytes,
          bytes,
          again === undefined ? undefined : () => this.#settleLater(place, again(), isBatch),
        );
        if (!isKept) reply.drop?.();
        this.#wake();
      })
      .catch(report);
  }

  /** Goes on, once for all that happens in one turn of the event loop. */
  #wake(): void {
    if (this.#waking) return;
    this.#waking = true;
    process.nextTick(() => {
      this.#waking = false;
      this.#guard(() => this.#goOn());
    });
  }

  #goOn(): void {
    if (this.#socket.destroyed) return;
    const { out } = this.#front;
    this.#queue.send(({ write, isBatch }) => {
      if (isBatch) this.#batches--;
      write();
      if (out.length >= WRITE_BYTES) this.#flush();
    });
    this.#flush();
    if (this.#queue.length === 0 && this.#hasTurn) this.#leave();
    if (!this.#held && this.#kept.length > 0) this.#runKept();
    this.#settle();
    if (this.#paused && !this.#held) {
      this.#paused = false;
      this.#socket.resume();
    }
  }

  #settle(): void {
    this.#flush();
    if (this.#finishing && !this.#held) this.#ended = true;
    this.#watchPart((this.#kept.length > 0 || this.#parser.inRequest) && !this.#held);
    if (this.#ended && this.#queue.length === 0 && !this.#inLine) this.#sayFarewell();
  }

  #flush(): void {
    this.#front.out.flush(this.#outlet);
    if (this.#outlet.isFull && !this.#choked) {
      this.#choked = true;
      this.#socket.setTimeout(this.#front.writeTimeoutMs);
    }
  }

  #timeOut(): void {
    if (this.#outlet.hasMoved()) this.#socket.setTimeout(this.#front.writeTimeoutMs);
    else this.#socket.destroy();
  }

  #drained(): void {
    if (!this.#choked) return;
    this.#choked = false;
    this.#socket.setTimeout(0);
    this.#goOn();
  }

  /** Cuts the client off that takes too long to send the rest of a request. */
  #watchPart(isThere: boolean): void {
    if (!isThere) {
      clearTimeout(this.#partTimer);
      this.#partTimer = undefined;
    } else if (this.#partTimer === undefined) {
      this.#partTimer = setTimeout(() => this.#socket.destroy(), this.#front.requestTimeoutMs).unref();
    } else if (this.#advanced) {
      this.#partTimer.refresh();
    }
    this.#advanced = false;
  }

  #refuse(problem: string): void {
    this.#ended = true;
    const { out } = this.#front;
    if (this.#queue.length === 0) out.error(`ERR ${problem}`);
    else this.#queue.push({ write: () => out.error(`ERR ${problem}`), isBatch: false });
  }

  #sayFarewell(): void {
    if (this.#saidFarewell) return;
    this.#saidFarewell = true;
    const socket = this.#socket;
    const cutOff = (ms: number): NodeJS.Timeout => setTimeout(() => socket.destroy(), ms);
    let farewell = cutOff(this.#front.writeTimeoutMs);
    socket.once('close', () => clearTimeout(farewell));
    socket.end(() => {
      clearTimeout(farewell);
      farewell = cutOff(FAREWELL_MS);
    });
    // What the client sends is read and dropped: to close on it unread would take the replies back.
    socket.resume();
  }

  #closed(): void {
    clearTimeout(this.#partTimer);
    this.#ended = true;
    this.#client.gone = true;
    this.#queue.clear();
    this.#front.commands.forget(this.#client);
    this.#kept.drop(this.#kept.length);
    if (this.#hasTurn) this.#endTurn();
  }
}
