import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Express, RequestHandler, Response } from 'express';
import type { Settings } from '../../config/settings.ts';
import { idleTimeoutMs } from '../../net/time-limits.ts';
import { allMethods } from './allowed-methods.ts';
import { type HttpResponse, send } from '../response/http-response.ts';
import type { ReadResponse } from '../response/read-response.ts';
import type { ResponseSender } from '../response/response-sender.ts';
import { hideKey, pathOf } from '../request/key-path.ts';
import { isOpsRoute, lookupRejection, lookupTarget } from './ops-listener.ts';
import { MAX_HEADERS } from './request-rules.ts';

/** Interval at which node:http checks for slow clients. */
const MAX_CHECK_INTERVAL_MS = 1000;

/** The application that serves a request, and the path and query as it has them. */
interface RouteTarget {
  readonly app: Express;
  readonly url: string;
}

/** The ops listener's server, and the application with its routes. */
interface OpsServer {
  readonly app: Express;
  readonly server: Server;
}

/**
 * The Express adapter with the limits of the settings, with paths that need not be UTF-8, and with controllers that return
 * a rendered response. With OPS_PORT there are two servers, and each route is registered for the one that it belongs to.
 */
export class ProxyHttpAdapter extends ExpressAdapter {
  readonly #settings: Settings;
  readonly #opsApp: Express | undefined;
  #opsServer: Server | undefined;
  #sender: ResponseSender | undefined;

  constructor(settings: Settings) {
    super();
    this.#settings = settings;
    if (settings.ops.port !== undefined) this.#opsApp = new ExpressAdapter().getInstance<Express>();
  }

  /** Undefined without OPS_PORT. */
  get ops(): OpsServer | undefined {
    const [app, server] = [this.#opsApp, this.#opsServer];
    return app === undefined || server === undefined ? undefined : { app, server };
  }

  /** Sends what controllers return. */
  sendWith(sender: ResponseSender): void {
    this.#sender = sender;
  }

  /**
   * Sends the response that a controller has returned. Nest calls it with the result of every handler; an interceptor would
   * cost a third of the request.
   *
   * @param content undefined if the client has disconnected.
   */
  override reply(response: Response, content: HttpResponse | ReadResponse | undefined): void {
    if (content === undefined) return;
    if (this.#sender === undefined) throw new Error('HttpModule has not been initialised');
    this.#sender.send(content, response);
  }

  /** Registers middleware for the paths that it begins with, or for all routes: handlers of errors and of unknown routes. */
  override use(...args: unknown[]): void {
    const path = args.length > 1 ? String(args[0]) : undefined;
    const apps = path === undefined ? [this.getInstance<Express>(), this.#opsApp] : [this.#appFor('use', path)];
    for (const app of apps) app?.use(...(args as RequestHandler[]));
  }

  override get(...[path, handler]: unknown[]): void {
    this.#register('get', String(path), handler as RequestHandler);
  }

  override post(...[path, handler]: unknown[]): void {
    this.#register('post', String(path), handler as RequestHandler);
  }

  override delete(...[path, handler]: unknown[]): void {
    this.#register('delete', String(path), handler as RequestHandler);
  }

  override initHttpServer(): void {
    const reads = this.getInstance<Express>();
    for (const app of [reads, this.#opsApp]) {
      app?.disable('x-powered-by');
      // The application setting has no effect: the adapter's constructor has created the router already.
      if (app !== undefined) Object.assign(app.router, { caseSensitive: true });
    }
    this.httpServer = this.#createServer((url) => ({ app: reads, url }));
    const ops = this.#opsApp;
    if (ops === undefined) return;
    this.#opsServer = this.#createServer((url, request) => {
      const lookup = lookupTarget(url);
      if (lookup === undefined) return { app: ops, url };
      return lookupRejection(this.#settings, request) ?? { app: reads, url: lookup };
    });
  }

  #register(method: 'get' | 'post' | 'delete', path: string, handler: RequestHandler): void {
    this.#appFor(method, path)[method](path, handler);
  }

  #appFor(method: string, path: string): Express {
    return (isOpsRoute(method, path) ? this.#opsApp : undefined) ?? this.getInstance<Express>();
  }

  /** @param route returns where to serve a path with its query, or the response to it. */
  #createServer(route: (url: string, request: IncomingMessage) => RouteTarget | HttpResponse): Server {
    const { http } = this.#settings;
    // Before Express' router, which parses targets that are no paths with url.parse(), of which Node.js warns.
    const serve: RequestListener = (request: IncomingMessage, response: ServerResponse): void => {
      const { url = '' } = request;
      const target = route(url === '*' ? url : pathOf(url), request);
      if (!('app' in target)) return send(target, response);
      // OPTIONS of the server as a whole (RFC 9110, section 9.3.7).
      if (url === '*') return send(options(target.app), response);
      Object.assign(request, { originalUrl: target.url, url: hideKey(target.url) });
      target.app(request, response);
    };
    const server = createServer(
      {
        maxHeaderSize: http.maxHeaderBytes,
        headersTimeout: Math.min(http.headersTimeoutMs, http.requestTimeoutMs),
        requestTimeout: http.requestTimeoutMs,
        keepAliveTimeout: http.keepAliveTimeoutMs,
        connectionsCheckingInterval: Math.min(http.headersTimeoutMs, MAX_CHECK_INTERVAL_MS),
        // headProblem() checks it, and responds with a problem.
        requireHostHeader: false,
      },
      serve,
    );
    // One more than is accepted, so that headProblem() notices.
    server.maxHeadersCount = MAX_HEADERS + 1;
    server.setTimeout(idleTimeoutMs(this.#settings));
    // A half-closed client still receives its responses.
    return Object.assign(server, { httpAllowHalfOpen: true });
  }
}

function options(app: Express): HttpResponse {
  return { status: 204, headers: ['Allow', [...allMethods(app), 'OPTIONS'].join(', ')], body: undefined };
}
