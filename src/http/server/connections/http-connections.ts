import type { Socket } from 'node:net';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { HttpAdapterHost } from '@nestjs/core';
import type { Express } from 'express';
import type { SelfCheckCache } from '../../../cache/self-check-cache.ts';
import { proxyConfig } from '../../../config/namespaces.ts';
import { ConnectionLimiter } from '../../../instance/connection-limiter.ts';
import { ReadMetrics } from '../../../instance/read-metrics.ts';
import { ThreadContext } from '../../../instance/thread-context.ts';
import type { TlsAcceptor } from '../../../tls/tls-acceptor.ts';
import { TlsListeners } from '../../../tls/tls-listeners.ts';
import { KeyFastPath } from '../../fast-path/key-fast-path.ts';
import type { ProxyHttpAdapter } from '../proxy-http-adapter.ts';
import { MAX_OPS_CONNECTIONS } from '../ops-listener.ts';
import { ServerConnections } from './server-connections.ts';

/** The HTTP connections of this thread: those of HTTP_PORT, and those of OPS_PORT if it is set. */
@Injectable()
export class HttpConnections implements OnApplicationBootstrap {
  readonly #adapterHost: HttpAdapterHost<ProxyHttpAdapter>;
  readonly #thread: ThreadContext;
  readonly #limiter: ConnectionLimiter;
  readonly #fastPath: KeyFastPath;
  readonly #counts: ReadMetrics;
  readonly #tls: TlsAcceptor | undefined;
  readonly #threads: number;
  #http: ServerConnections | undefined;
  #ops: ServerConnections | undefined;
  #draining = false;

  constructor(
    adapterHost: HttpAdapterHost<ProxyHttpAdapter>,
    thread: ThreadContext,
    limiter: ConnectionLimiter,
    fastPath: KeyFastPath,
    counts: ReadMetrics,
    tls: TlsListeners,
    @Inject(proxyConfig.KEY) { threads }: ConfigType<typeof proxyConfig>,
  ) {
    this.#adapterHost = adapterHost;
    this.#thread = thread;
    this.#limiter = limiter;
    this.#fastPath = fastPath;
    this.#counts = counts;
    this.#tls = tls.acceptor('http');
    this.#threads = threads;
  }

  /** Whether the proxy is shutting down. */
  get draining(): boolean {
    return this.#draining;
  }

  /** Returns a function that serves connections of the self-check on a fast path; undefined if it is disabled. */
  forSelfCheck(parts: SelfCheckCache): ((socket: Socket) => void) | undefined {
    if (!this.#fastPath.enabled) return undefined;
    const fastPath = this.#fastPath.withCache(parts);
    return (socket) => fastPath.accept(socket);
  }

  /** Intercepts the connections and requests of the application's servers, before they listen. */
  onApplicationBootstrap(): void {
    const { httpAdapter } = this.#adapterHost;
    const common = { counts: this.#counts, threads: this.#threads };
    this.#http = new ServerConnections({
      server: httpAdapter.getHttpServer(),
      app: httpAdapter.getInstance<Express>(),
      limit: this.#limiter,
      tls: this.#tls,
      fastPath: this.#fastPath.enabled ? this.#fastPath : undefined,
      ...common,
    });
    const { ops } = httpAdapter;
    if (ops === undefined) return;
    const { instance, threadIndex } = this.#thread;
    const limit = new ConnectionLimiter(instance, threadIndex, MAX_OPS_CONNECTIONS, 'ops');
    this.#ops = new ServerConnections({ ...ops, limit, tls: undefined, fastPath: undefined, ...common });
  }

  /** Stops accepting connections of HTTP_PORT; existing ones are still served, and OPS_PORT reports the drain. */
  stopListening(): void {
    this.#draining = true;
    this.#http?.stopListening();
  }

  /** Completes the requests in flight on HTTP_PORT, and resolves when all of its connections are closed. */
  async drain(): Promise<void> {
    this.#ops?.closeAfterNext();
    await this.#http?.drain();
  }

  /** Closes the ops listener, if there is one, at the end of the drain, and completes its requests in flight. */
  async closeOps(): Promise<void> {
    this.#ops?.stopListening();
    await this.#ops?.drain(0);
  }
}
