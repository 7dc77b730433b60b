import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** Replaces the forwarding of a part of the replies to reads. */
export type Tamper = (part: Buffer, client: Socket) => void;

/** Relays connections to a server; can tamper with replies, delay them or silence connections. */
export class Relay {
  readonly #server: Server;
  readonly #connections = new Set<Joined>();
  accepted = 0;
  /** Port that new connections are relayed to; existing connections keep theirs. */
  target: number;
  /** If undefined, replies are forwarded. */
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

  /** Delay of replies to reads, in order. Setting 0 forwards all delayed replies at once. */
  get lateMs(): number {
    return this.#lateMs;
  }

  set lateMs(ms: number) {
    this.#lateMs = ms;
    if (ms === 0) for (const connection of this.#connections) connection.catchUp();
  }

  /** Stops forwarding on existing connections; new ones work. */
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
  /** Forwards delayed replies. */
  catchUp(): void;
}

/** Starts a server that replies to a connecting client as a Redis does while it loads its data. */
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
