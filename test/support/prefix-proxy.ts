import { once } from 'node:events';
import { type Server, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A reverse proxy that serves a proxy below a path, which it strips. */
export class PrefixProxy {
  /** Ends with the path. */
  readonly url: string;
  readonly #server: Server;

  private constructor(url: string, server: Server) {
    this.url = url;
    this.#server = server;
  }

  static async start(prefix: string, proxyUrl: string): Promise<PrefixProxy> {
    const { hostname, port } = new URL(proxyUrl);
    const server = createServer((incoming, response) => {
      const { method, headers, url = '' } = incoming;
      if (!url.startsWith(`${prefix}/`)) return void response.writeHead(404).end();
      const outgoing = request({ hostname, port, method, headers, path: url.slice(prefix.length) }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      outgoing.on('error', () => response.destroy());
      incoming.pipe(outgoing);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new PrefixProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`, server);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}
