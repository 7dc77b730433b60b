import { once } from 'node:events';
import type { Server } from 'node:http';
import type { ListenOptions } from 'node:net';
import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  Optional,
} from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { HttpAdapterHost } from '@nestjs/core';
import { httpConfig, opsConfig, proxyConfig } from '../config/namespaces.ts';
import { HttpConnections } from '../http/server/connections/http-connections.ts';
import type { ProxyHttpAdapter } from '../http/server/proxy-http-adapter.ts';
import { Mutex } from '../net/mutex.ts';
import { RespServer } from '../resp/server/resp-server.ts';

/** The ports on which the threads listen; none is 0. */
export interface Ports {
  readonly http: number;
  /** Undefined: the Redis protocol is off. */
  readonly resp: number | undefined;
  /** Undefined: no ops listener. */
  readonly ops: number | undefined;
  /** Whether several threads listen on each port. */
  readonly shared: boolean;
}

/** Injection token of {@link Ports}. */
export const PORTS = Symbol('ports');

/**
 * Opens the listeners of this thread when the application is ready, and drains them on shutdown.
 *
 * A shutdown has this order. {@link stop}, which the supervisor calls in all threads before any of them goes on: readiness
 * turns false and no listener accepts connections, except that for operations, which reports it until the end. Then `app.close()` calls the hooks of NestJS: `onModuleDestroy` ends event
 * streams, `beforeApplicationShutdown` completes the requests in flight (here), `onApplicationShutdown` closes the connections to
 * Redis, which the requests needed. The supervisor stops tracking when all threads have exited.
 */
@Injectable()
export class Listeners implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #adapterHost: HttpAdapterHost<ProxyHttpAdapter>;
  readonly #http: HttpConnections;
  readonly #resp: RespServer;
  readonly #ports: Ports;
  readonly #host: string;
  readonly #opsHost: string;
  readonly #backlog: number;
  readonly #mutex: Mutex | undefined;
  #stopped = false;

  /** @param mutex serialises requests in sequential mode; undefined in parallel mode. */
  constructor(
    adapterHost: HttpAdapterHost<ProxyHttpAdapter>,
    http: HttpConnections,
    resp: RespServer,
    @Inject(PORTS) ports: Ports,
    @Inject(httpConfig.KEY) { host }: ConfigType<typeof httpConfig>,
    @Inject(opsConfig.KEY) ops: ConfigType<typeof opsConfig>,
    @Inject(proxyConfig.KEY) { backlog, threads }: ConfigType<typeof proxyConfig>,
    @Optional() mutex?: Mutex,
  ) {
    this.#adapterHost = adapterHost;
    this.#http = http;
    this.#resp = resp;
    this.#ports = ports;
    this.#host = host;
    this.#opsHost = ops.host;
    this.#backlog = Math.ceil(backlog / threads);
    this.#mutex = mutex;
  }

  /** Listens on the ports that all threads share; the kernel distributes the connections. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.#stopped) return;
    const { httpAdapter } = this.#adapterHost;
    const shared = { host: this.#host, backlog: this.#backlog, reusePort: this.#ports.shared };
    // First, so that probes are served as soon as there is something to probe.
    const { ops } = httpAdapter;
    if (ops !== undefined) await listening(ops.server, { ...shared, host: this.#opsHost, port: this.#ports.ops });
    await listening(httpAdapter.getHttpServer(), { ...shared, port: this.#ports.http });
    if (this.#ports.resp !== undefined) {
      await this.#resp.listen({ port: this.#ports.resp, ...shared, mutex: this.#mutex });
    }
    // The supervisor may have called stop() in the meantime.
    if (this.#stopped) this.stop();
  }

  /** Stops accepting connections; existing ones are still served. */
  stop(): void {
    this.#stopped = true;
    this.#http.stopListening();
    this.#resp.stopListening();
  }

  /** Completes the requests in flight; resolves when all connections are closed. */
  async beforeApplicationShutdown(): Promise<void> {
    // Without a supervisor nobody has called it.
    this.stop();
    // Together: NestJS would call hooks of the two modules one after the other, and each drain takes a second.
    await Promise.all([this.#http.drain(), this.#resp.drain()]);
    // Last: until then it says that this instance is shutting down.
    await this.#http.closeOps();
  }
}

async function listening(server: Server, options: ListenOptions): Promise<void> {
  server.listen(options);
  await once(server, 'listening');
}
