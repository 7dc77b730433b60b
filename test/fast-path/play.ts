import { type Socket, connect } from 'node:net';
import { type Conversation, writesOf } from './conversation.ts';
import { LAST_KEY } from './targets.ts';

/** What came of a conversation. */
export interface Outcome {
  /** What the server sent while the client was open to more; a character per byte. */
  readonly received: string;
  /** Who ended the connection. The client does when nothing has come for a while. */
  readonly endedBy: 'server' | 'client';
  /** What the server sent after the client's end. */
  readonly afterEnd: string;
  /** Whether the connection came to an end after the client's. */
  readonly closed: boolean;
}

/** Milliseconds without a byte after which an answer that has begun is taken to be whole. */
const QUIET_MS = 100;
const STEPS = 5;
/** Milliseconds the server has to close a connection that the client has ended. */
const CLOSE_MS = 3000;

/** Is answered, and ends the connection, if that was still good for a request. */
export const LAST_REQUEST = `GET /v1/keys/${LAST_KEY} HTTP/1.1\r\nHost: last\r\nAuthorization: Bearer reader\r\nConnection: close\r\n\r\n`;

let numbers = 0;

/** Numbers of keys that no conversation of this process has used before. */
export function nextNumber(): string {
  return (numbers++).toString(36).padStart(8, '0');
}

/**
 * Holds a conversation with the server at `url`, and asks for one more key at its end.
 *
 * @param patienceMs how long the client waits for something to come before it ends the connection.
 */
export async function play(url: string, conversation: Conversation, patienceMs: number): Promise<Outcome> {
  const client = await Client.connect(url);
  for (const part of [...writesOf(conversation, nextNumber), LAST_REQUEST])
    await client.write(part, conversation.pauseMs);
  await client.quiet(patienceMs);
  return client.end();
}

/** The same, but what may be a request is sent only when nothing more comes in answer to those before. */
export async function playInTurn(url: string, { messages }: Conversation, patienceMs: number): Promise<Outcome> {
  const client = await Client.connect(url);
  const blocks = messages.flatMap((message) => message.split(/(?<=\n\r?\n)/));
  const inTurn: Conversation = { messages: blocks, cut: { kind: 'messages' }, pauseMs: 0 };
  for (const part of [...writesOf(inTurn, nextNumber), LAST_REQUEST]) {
    await client.write(part, 0);
    await client.quiet(patienceMs, QUIET_MS);
  }
  return client.end();
}

class Client {
  received = '';
  readonly #socket: Socket;
  readonly #over: Promise<void>;
  #open = true;
  #heard: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.received += text;
      this.#heard();
    });
    // A server that has closed may answer what comes then with a reset: no more is to be expected either way.
    socket.on('error', () => undefined);
    this.#over = new Promise((resolve) => {
      const over = (): void => {
        this.#open = false;
        this.#heard();
        resolve();
      };
      socket.on('end', over).on('close', over);
    });
  }

  static async connect(url: string): Promise<Client> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const client = new Client(socket);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return client;
  }

  /** Sends, and lets the server read what was sent before more follows. */
  async write(text: string, pauseMs: number): Promise<void> {
    if (!this.#open) return;
    await new Promise<void>((resolve) => this.#socket.write(text, 'latin1', () => resolve()));
    await new Promise<void>((resolve) => (pauseMs === 0 ? setImmediate(resolve) : setTimeout(resolve, pauseMs)));
  }

  /** Resolves when the server has ended the connection, or has sent nothing, or nothing more, for so long. */
  async quiet(silenceMs: number, pauseMs = silenceMs): Promise<void> {
    let before = this.received.length;
    // In steps, between which arrives what has waited while this process was busy.
    for (let [step, ms] = [0, silenceMs]; this.#open && step < STEPS; step++) {
      await this.#wait(ms / STEPS);
      if (this.received.length === before) continue;
      before = this.received.length;
      [step, ms] = [-1, pauseMs];
    }
  }

  /** Resolves when something comes, and after so long at the latest. */
  async #wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#heard = () => {
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
    const closed = (await Promise.race([this.#over, deadline])) !== 'late';
    this.#socket.destroy();
    return { received, endedBy, afterEnd: this.received.slice(received.length), closed };
  }
}
