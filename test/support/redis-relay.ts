import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** Replies to the PINGs of an invalidation connection. */
export const PONGS = /^(?:\*2\r\n\$4\r\npong\r\n\$0\r\n\r\n)+$/;

/** Purpose of a connection: reads of keys, or invalidation messages. */
export type Purpose = 'data' | 'feed';

/**
 * Relays connections of a proxy to its Redis, tells data connections from invalidation connections, and can hold back the
 * replies on either kind.
 */
export class RedisRelay {
  readonly #server: Server;
  readonly #connections = new Set<Relayed>();
  /** Whether invalidation connections are reset. */
  refusesFeeds = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<RedisRelay> {
    const server = createServer().listen(0, '127.0.0.1');
    const relay = new RedisRelay(server);
    server.on('connection', (client) => {
      const relayed = new Relayed(client, connect(port, '127.0.0.1'));
      relay.#connections.add(relayed);
      client.on('close', () => relay.#connections.delete(relayed));
      client.on('data', () => {
        if (relay.refusesFeeds && relayed.purpose === 'feed') relayed.reset();
      });
    });
    await once(server, 'listening');
    return relay;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}/0`;
  }

  count(purpose: Purpose): number {
    return this.#of(purpose).length;
  }

  /** Holds back replies from now on, on existing connections, except parts that match `passes`. */
  hold(purpose: Purpose, passes?: RegExp): void {
    for (const relayed of this.#of(purpose)) relayed.hold(passes);
  }

  /** Bytes held back, as a binary string. */
  held(purpose: Purpose): string {
    return this.#of(purpose)
      .flatMap(({ held }) => held)
      .map((part) => part.toString('latin1'))
      .join('');
  }

  /** Forwards the bytes held back and all that follow. */
  release(purpose: Purpose): void {
    for (const relayed of this.#of(purpose)) relayed.release();
  }

  /** Resets existing connections. */
  reset(purpose: Purpose): void {
    for (const relayed of this.#of(purpose)) relayed.reset();
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const relayed of this.#connections) relayed.reset();
    await once(this.#server, 'close');
  }

  #of(purpose: Purpose): Relayed[] {
    return [...this.#connections].filter((relayed) => relayed.purpose === purpose);
  }
}

class Relayed {
  purpose: Purpose = 'data';
  readonly held: Buffer[] = [];
  #holding = false;
  #passes: RegExp | undefined;
  readonly #client: Socket;
  readonly #server: Socket;

  constructor(client: Socket, server: Socket) {
    this.#client = client;
    this.#server = server;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ]) {
      from.setNoDelay(true);
      from.on('error', () => undefined).on('close', () => to.destroy());
    }
    client.on('data', (part) => {
      if (part.includes('TRACKING')) this.purpose = 'feed';
      server.write(part);
    });
    server.on('data', (part) => {
      if (this.#holding && this.#passes?.test(part.toString('latin1')) !== true) this.held.push(part);
      else client.write(part);
    });
  }

  hold(passes: RegExp | undefined): void {
    this.#holding = true;
    this.#passes = passes;
  }

  release(): void {
    this.#holding = false;
    for (const part of this.held.splice(0)) this.#client.write(part);
  }

  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.destroy();
  }
}
