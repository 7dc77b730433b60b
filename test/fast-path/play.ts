import { type Socket, connect } from 'node:net';
import { type Conversation, writesOf } from './conversation.ts';
import { LAST_KEY } from './targets.ts';

/** The outcome of a conversation. */
export interface Outcome {
  /** Bytes from the server before the client closed its side; one character for each byte. */
  readonly received: string;
  /** Which side closed the connection first. The client does so after a time without a byte. */
  readonly endedBy: 'server' | 'client';
  /** Bytes from the server after the client closed its side. */
  readonly afterEnd: string;
  /** Whether the server then closed the connection. */
  readonly closed: boolean;
}

/** Milliseconds without a byte after which a response is considered complete. */
const QUIET_MS = 100;
const STEPS = 5;
/** Milliseconds within which the server must close a connection that the client has half-closed. */
const CLOSE_MS = 10_000;

/** The final request, which closes the connection if the server still parses requests on it. */
export const LAST_REQUEST = `GET /v1/keys/${LAST_KEY} HTTP/1.1\r\nHost: last\r\nAuthorization: Bearer reader\r\nConnection: close\r\n\r\n`;

let numbers = 0;

/** Returns numbers of keys that no conversation of this process has used. */
export function nextNumber(): string {
  return (numbers++).toString(36).padStart(8, '0');
}

/**
 * Plays a conversation with the server at `url`, with one more request at its end.
 *
 * @param timeoutMs milliseconds without a byte after which the client closes the connection.
 */
export async function play(url: string, conversation: Conversation, timeoutMs: number): Promise<Outcome> {
  const client = await Client.connect(url);
  for (const part of [...writesOf(conversation, nextNumber), LAST_REQUEST])
    await client.write(part, conversation.pauseMs);
  await client.quiet(timeoutMs);
  return client.end();
}

/** The same, but sends each potential request only after the previous responses are complete. */
export async function playSequentially(url: string, { messages }: Conversation, timeoutMs: number): Promise<Outcome> {
  const client = await Client.connect(url);
  const blocks = messages.flatMap((message) => message.split(/(?<=\n\r?\n)/));
  const sequential: Conversation = { messages: blocks, cut: { kind: 'messages' }, pauseMs: 0 };
  for (const part of [...writesOf(sequential, nextNumber), LAST_REQUEST]) {
    await client.write(part, 0);
    await client.quiet(timeoutMs, QUIET_MS);
  }
  return client.end();
}

class Client {
  received = '';
  readonly #socket: Socket;
  readonly #ended: Promise<void>;
  #open = true;
  #onReceived: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
      this.#onReceived();
    });
    // A closed server may reset the connection on further bytes; no response follows either way.
    socket.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      const onEnd = (): void => {
        this.#open = false;
        this.#onReceived();
        resolve();
      };
      socket.on('end', onEnd).on('close', onEnd);
    });
  }

  static async connect(url: string): Promise<Client> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const client = new Client(socket);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return client;
  }

  /** Sends bytes, and lets the server read them before more follow. */
  async write(text: string, pauseMs: number): Promise<void> {
    if (!this.#open) return;
    await new Promise<void>((resolve) => this.#socket.write(text, 'latin1', () => resolve()));
    await new Promise<void>((resolve) => (pauseMs === 0 ? setImmediate(resolve) : setTimeout(resolve, pauseMs)));
  }

  /** Resolves when the server has closed the connection, or has not sent a byte for this time. */
  async quiet(silenceMs: number, pauseMs = silenceMs): Promise<void> {
    let before = this.received.length;
    // In steps, so that bytes that arrived while this process was busy are read.
    for (let [step, ms] = [0, silenceMs]; this.#open && step < STEPS; step++) {
      await this.#wait(ms / STEPS);
      if (this.received.length === before) continue;
      before = this.received.length;
      [step, ms] = [-1, pauseMs];
    }
  }

  /** Resolves on the next bytes, at the latest after this time. */
  async #wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#onReceived = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async end(): Promise<Outcome> {
    const endedBy = this.#open ? 'client' : 'server';
    const { received } = this;
    this.#socket.end();
    const deadline = new Promise<'late'>((resolve) => setTimeout(resolve, CLOSE_MS, 'late').unref());
    const closed = (await Promise.race([this.#ended, deadline])) !== 'late';
    this.#socket.destroy();
    return { received, endedBy, afterEnd: this.received.slice(received.length), closed };
  }
}
