import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { promisify } from 'node:util';
import { until } from './processes.ts';
import type { TestProxy } from './proxy.ts';

const run = promisify(execFile);

/** Returns the port of the Redis protocol of a proxy that was started with RESP_PORT=0. */
export function respPort(proxy: TestProxy): number {
  const found = /listening for the Redis protocol on rediss?:\/\/[^"]*:(\d+)/.exec(proxy.child?.output ?? '')?.[1];
  if (found === undefined) throw new Error('the proxy does not speak the Redis protocol');
  return Number(found);
}

/** Runs one of Redis' own programs against a port; returns its standard output. */
export async function redisProgram(
  name: 'redis-cli' | 'redis-benchmark',
  port: number,
  ...args: string[]
): Promise<string> {
  const { stdout } = await run(name, ['-p', String(port), ...args], { encoding: 'latin1', timeout: 60_000 });
  return stdout;
}

/** Encodes a command as clients do: an array of bulk strings. */
export function request(...args: (string | Buffer)[]): Buffer {
  const parts = args.flatMap((arg) => [
    Buffer.from(`$${Buffer.byteLength(arg)}\r\n`),
    Buffer.from(arg),
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([Buffer.from(`*${args.length}\r\n`), ...parts]);
}

/** Connection that sends raw bytes and collects all received bytes, as a binary string. */
export class RespSocket {
  readonly socket: Socket;
  received = '';
  readonly closed: Promise<unknown>;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined).setEncoding('latin1');
    socket.on('data', (text: string) => (this.received += text));
  }

  static async open(port: number): Promise<RespSocket> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new RespSocket(socket);
  }

  /** Sends all parts in one write, so that they arrive at once. */
  send(...bytes: (string | Buffer)[]): this {
    this.socket.cork();
    for (const part of bytes) this.socket.write(part);
    this.socket.uncork();
    return this;
  }

  /** Waits for as many bytes as `text` has and consumes them. Throws if they differ. */
  async expect(text: string): Promise<void> {
    await until(`the reply ${JSON.stringify(text.slice(0, 100))}`, () => {
      if (this.received.length >= text.length) return true;
      if (this.socket.destroyed) throw new Error(`the connection ended after ${JSON.stringify(this.received)}`);
      return undefined;
    });
    const found = this.received.slice(0, text.length);
    this.received = this.received.slice(text.length);
    if (found !== text) throw new Error(`received ${JSON.stringify(found)}, not ${JSON.stringify(text)}`);
  }

  /** Waits until the received text ends with `end`; consumes it and returns the text before `end`. */
  async until(end: string): Promise<string> {
    await until(`the reply that ends with ${JSON.stringify(end)}`, () => this.received.endsWith(end) || undefined);
    const found = this.received.slice(0, -end.length);
    this.received = '';
    return found;
  }

  /** Waits for so many whole replies; consumes and returns them. */
  async replies(count: number): Promise<string> {
    const end = await until(`${count} replies`, () => {
      let at: number | undefined = 0;
      for (let left = count; left > 0 && at !== undefined; left--) at = replyEnd(this.received, at);
      if (at === undefined && this.socket.destroyed) throw new Error(`the connection ended after ${this.received}`);
      return at;
    });
    const found = this.received.slice(0, end);
    this.received = this.received.slice(end);
    return found;
  }

  /** Waits for the end of the connection; returns what was received until then. */
  async rest(): Promise<string> {
    await this.closed;
    return this.received;
  }
}

/** Returns where the reply that starts at `at` ends; undefined if it is incomplete. */
function replyEnd(text: string, at: number): number | undefined {
  const lineEnd = text.indexOf('\r\n', at);
  if (lineEnd === -1) return undefined;
  const count = Number(text.slice(at + 1, lineEnd));
  let end: number | undefined = lineEnd + 2;
  if ('$='.includes(text[at]) && count >= 0) end += count + 2;
  const elements = { '*': count, '~': count, '%': 2 * count }[text[at]] ?? 0;
  for (let left = elements; left > 0 && end !== undefined; left--) end = replyEnd(text, end);
  return end === undefined || end > text.length ? undefined : end;
}
