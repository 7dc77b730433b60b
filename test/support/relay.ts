import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** Stands between a client and a server, and can let connections go dead without a word. */
export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  accepted = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<Relay> {
    const server = createServer().listen(0, '127.0.0.1');
    const relay = new Relay(server);
    server.on('connection', (near) => relay.#join(near, connect(port, '127.0.0.1')));
    await once(server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Passes nothing on any more on the connections that there are; new ones work. */
  silence(): void {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #join(near: Socket, far: Socket): void {
    this.accepted++;
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  }
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
