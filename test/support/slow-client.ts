import { once } from 'node:events';
import { type Socket, connect } from 'node:net';

/** Returns the expected bytes of the reply with this index. */
export type Expected = (index: number) => Buffer;

/**
 * A client that sends many requests at once and reads nothing until {@link read}. It compares replies as they arrive and
 * keeps none.
 */
export class SlowClient {
  readonly socket: Socket;
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined).on('close', () => (this.closed = true));
    socket.pause();
  }

  static async send(port: number, requests: Buffer): Promise<SlowClient> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const client = new SlowClient(socket);
    socket.write(requests);
    return client;
  }

  /**
   * Reads `count` replies; resolves with how many were whole and as expected.
   *
   * @param head matches the head of a reply, which is not compared.
   */
  read(count: number, head: RegExp, expected: Expected): Promise<number> {
    let index = 0;
    let waiting: Buffer | undefined;
    let value: Buffer | undefined;
    let at = 0;
    return new Promise((resolve) => {
      const end = (): void => {
        this.socket.off('data', onData).off('close', end);
        resolve(index);
      };
      const onData = (chunk: Buffer): void => {
        let rest = waiting === undefined ? chunk : Buffer.concat([waiting, chunk]);
        waiting = undefined;
        while (rest.length > 0) {
          if (value === undefined) {
            const found = head.exec(rest.toString('latin1', 0, 2000));
            if (found === null) {
              if (rest.length > 2000) return end();
              waiting = rest;
              return;
            }
            rest = rest.subarray(found[0].length);
            value = expected(index);
            at = 0;
            continue;
          }
          const part = rest.subarray(0, value.length - at);
          if (!part.equals(value.subarray(at, at + part.length))) return end();
          at += part.length;
          rest = rest.subarray(part.length);
          if (at < value.length) continue;
          value = undefined;
          if (++index === count) return end();
        }
      };
      this.socket.on('data', onData).on('close', end).resume();
    });
  }
}
