import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** Replaces the forwarding of a part of the replies to reads. */
export type Tamper = (part: Buffer, client: Socket) => void;

/** Relays connections to a server; can tamper with replies, delay them or silence connections. */
export class Relay {
  readonly #server: Server;
  readonly #connections = new Set<RelayedConnection>();
  accepted = 0;
  /** Port that new connections are relayed to; existing connections keep theirs. */
  target: number;
  /** If undefined, replies are forwarded. */
  tamper: Tamper | undefined;
  #delayMs = 0;

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
  }

  static async to(port: number): Promise<Relay> {
    const server = createServer().listen(0, '127.0.0.1');
    const relay = new Relay(server, port);
    server.on('connection', (client) => relay.#relay(client, connect(relay.target, '127.0.0.1')));
    await once(server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Delay of replies to reads, in order. Setting 0 forwards all delayed replies at once. */
  get delayMs(): number {
    return this.#delayMs;
  }

  set delayMs(ms: number) {
    this.#delayMs = ms;
    if (ms === 0) for (const connection of this.#connections) connection.forwardDelayed();
  }

  /** Stops forwarding on existing connections; new ones work. */
  silence(): void {
    for (const connection of this.#connections) connection.silent = true;
  }

  /** Sends a command of its own on existing connections that read keys, and drops its reply, wherever it arrives. */
  inject(command: string, reply: string): void {
    for (const connection of this.#connections) {
      if (!connection.reads) continue;
      connection.dropped = Buffer.from(reply);
      connection.server.write(command);
    }
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const { client, server } of this.#connections) {
      client.destroy();
      server.destroy();
    }
    await once(this.#server, 'close');
  }

  #relay(client: Socket, server: Socket): void {
    this.accepted++;
    const delayed: { readonly part: Buffer; readonly timer: NodeJS.Timeout }[] = [];
    const forwardDelayed = (): void => {
      for (const { part, timer } of delayed.splice(0)) {
        clearTimeout(timer);
        client.write(part);
      }
    };
    const forwardNext = (part: Buffer): void => {
      delayed.shift();
      client.write(part);
    };
    const connection: RelayedConnection = {
      client,
      server,
      silent: false,
      reads: false,
      dropped: undefined,
      forwardDelayed,
    };
    this.#connections.add(connection);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      from.setNoDelay(true);
      from.on('error', () => undefined).on('close', () => to.destroy());
    }
    client.on('close', () => this.#connections.delete(connection));
    client.on('data', (part) => {
      // The handshake works: the connection is one that reads keys.
      if (/\r\n(?:GET|HGETALL)\r\n/i.test(part.toString('latin1'))) connection.reads = true;
      if (!connection.silent) server.write(part);
    });
    server.on('data', (received) => {
      if (connection.silent) return;
      const part = withoutDropped(received, connection);
      if (this.tamper !== undefined && connection.reads) this.tamper(part, client);
      else if (this.#delayMs > 0 && connection.reads)
        delayed.push({ part, timer: setTimeout(forwardNext, this.#delayMs, part) });
      else client.write(part);
    });
  }
}

interface RelayedConnection {
  readonly client: Socket;
  readonly server: Socket;
  silent: boolean;
  reads: boolean;
  /** A reply that is not forwarded. */
  dropped: Buffer | undefined;
  /** Forwards delayed replies. */
  forwardDelayed(): void;
}

function withoutDropped(part: Buffer, connection: RelayedConnection): Buffer {
  const { dropped } = connection;
  const at = dropped === undefined ? -1 : part.indexOf(dropped);
  if (dropped === undefined || at < 0) return part;
  connection.dropped = undefined;
  return Buffer.concat([part.subarray(0, at), part.subarray(at + dropped.length)]);
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
