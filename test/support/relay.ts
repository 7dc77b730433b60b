import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** What becomes of a part of the replies to reads. */
export type Tamper = (part: Buffer, client: Socket) => void;

/** Stands between a client and a server, and can spoil what the server says, or let connections go dead without a word. */
export class Relay {
  readonly #server: Server;
  readonly #connections = new Set<Joined>();
  accepted = 0;
  /** The port that new connections lead to; those that there are stay with the server that they have. */
  target: number;
  /** Undefined: replies are passed on. */
  tamper: Tamper | undefined;
  #lateMs = 0;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
  }

  static async to(port: number): Promise<Relay> {
    const server = createServer().listen(0, '127.0.0.1');
    const relay = new Relay(server, port);
    server.on('connection', (near) => relay.#join(near, connect(relay.target, '127.0.0.1')));
    await once(server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** By how much later replies to reads are passed on, in their order. When it ends, all that are under way come at once. */
  get lateMs(): number {
    return this.#lateMs;
  }

  set lateMs(ms: number) {
    this.#lateMs = ms;
    if (ms === 0) for (const connection of this.#connections) connection.catchUp();
  }

  /** Passes nothing on any more on the connections that there are; new ones work. */
  silence(): void {
    for (const connection of this.#connections) connection.silent = true;
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const { near, far } of this.#connections) {
      near.destroy();
      far.destroy();
    }
    await once(this.#server, 'close');
  }

  #join(near: Socket, far: Socket): void {
    this.accepted++;
    const late: { readonly part: Buffer; readonly timer: NodeJS.Timeout }[] = [];
    const catchUp = (): void => {
      for (const { part, timer } of late.splice(0)) {
        clearTimeout(timer);
        near.write(part);
      }
    };
    const passOn = (part: Buffer): void => {
      late.shift();
      near.write(part);
    };
    const connection: Joined = { near, far, silent: false, reads: false, catchUp };
    this.#connections.add(connection);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.setNoDelay(true);
      from.on('error', () => undefined).on('close', () => to.destroy());
    }
    near.on('close', () => this.#connections.delete(connection));
    near.on('data', (part) => {
      // The handshake works: the connection is one that reads keys.
      if (part.includes('\r\nGET\r\n')) connection.reads = true;
      if (!connection.silent) far.write(part);
    });
    far.on('data', (part) => {
      if (connection.silent) return;
      if (this.tamper !== undefined && connection.reads) this.tamper(part, near);
      else if (this.#lateMs > 0 && connection.reads) late.push({ part, timer: setTimeout(passOn, this.#lateMs, part) });
      else near.write(part);
    });
  }
}

interface Joined {
  readonly near: Socket;
  readonly far: Socket;
  silent: boolean;
  reads: boolean;
  /** Passes on what is late. */
  catchUp(): void;
}

/** A Redis that is loading its data, as far as a client that connects asks. */
export async function startLoadingRedis(): Promise<Server> {
  const info = 'loading:1\r\nloading_eta_seconds:60\r\n';
  const server = createServer((socket) => {
    socket.on('error', () => undefined).setEncoding('latin1');
    socket.on('data', (text: string) => {
      for (const [, name] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g)) {
        if (/^info$/i.test(name)) socket.write(`$${info.length}\r\n${info}\r\n`);
        else if (/^hello$/i.test(name)) socket.write("-ERR unknown command 'HELLO'\r\n");
        else socket.write(/^client$/i.test(name) ? '+OK\r\n' : '-LOADING Redis is loading the dataset in memory\r\n');
      }
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
