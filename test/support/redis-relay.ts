import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** Answers to the PINGs of a connection that is told of writes. */
export const PONGS = /^(?:\*2\r\n\$4\r\npong\r\n\$0\r\n\r\n)+$/;

/** What a connection is for: it reads keys, or is told of writes. */
export type Purpose = 'data' | 'feed';

/**
 * Stands between a proxy and its Redis, knows which connections read keys and which are told of writes, and can keep back
 * what the Redis says to the ones, or the others.
 */
export class RedisRelay {
  readonly #server: Server;
  readonly #connections = new Set<Relayed>();
  /** Whether connections are ended that want to be told of writes. */
  refusesFeeds = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<RedisRelay> {
    const server = createServer().listen(0, '127.0.0.1');
    const relay = new RedisRelay(server);
    server.on('connection', (near) => {
      const relayed = new Relayed(near, connect(port, '127.0.0.1'));
      relay.#connections.add(relayed);
      near.on('close', () => relay.#connections.delete(relayed));
      near.on('data', () => {
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

  /** Keeps back what the Redis says from now on, on the connections that there are, but for what `passes`. */
  hold(purpose: Purpose, passes?: RegExp): void {
    for (const relayed of this.#of(purpose)) relayed.hold(passes);
  }

  /** What is kept back, as a binary string. */
  held(purpose: Purpose): string {
    return this.#of(purpose)
      .flatMap(({ held }) => held)
      .map((part) => part.toString('latin1'))
      .join('');
  }

  /** Passes on what was kept back, and all that follows. */
  release(purpose: Purpose): void {
    for (const relayed of this.#of(purpose)) relayed.release();
  }

  /** Ends the connections that there are, as a network does that resets them. */
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
  readonly #near: Socket;
  readonly #far: Socket;

  constructor(near: Socket, far: Socket) {
    this.#near = near;
    this.#far = far;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.setNoDelay(true);
      from.on('error', () => undefined).on('close', () => to.destroy());
    }
    near.on('data', (part) => {
      if (part.includes('TRACKING')) this.purpose = 'feed';
      far.write(part);
    });
    far.on('data', (part) => {
      if (this.#holding && this.#passes?.test(part.toString('latin1')) !== true) this.held.push(part);
      else near.write(part);
    });
  }

  hold(passes: RegExp | undefined): void {
    this.#holding = true;
    this.#passes = passes;
  }

  release(): void {
    this.#holding = false;
    for (const part of this.held.splice(0)) this.#near.write(part);
  }

  reset(): void {
    this.#near.resetAndDestroy();
    this.#far.destroy();
  }
}
