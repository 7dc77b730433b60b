import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Express, Response } from 'express';
import type { Settings } from '../../config/settings.ts';
import { idleTimeoutMs } from '../../net/time-limits.ts';
import { allMethods } from './allowed-methods.ts';
import { type HttpResponse, send } from '../response/http-response.ts';
import type { ReadResponse } from '../response/read-response.ts';
import type { ResponseSender } from '../response/response-sender.ts';
import { hideKey, pathOf } from '../keys/key-path.ts';
import { MAX_HEADERS } from './request-rules.ts';

/** Interval at which node:http checks for slow clients. */
const MAX_CHECK_INTERVAL_MS = 1000;

/**
 * The Express adapter with the limits of the settings, with paths that need not be UTF-8, and with controllers that return
 * a rendered response.
 */
export class ProxyHttpAdapter extends ExpressAdapter {
  readonly #settings: Settings;
  #sender: ResponseSender | undefined;

  constructor(settings: Settings) {
    super();
    this.#settings = settings;
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

  override initHttpServer(): void {
    const { http } = this.#settings;
    const express = this.getInstance<Express>();
    express.disable('x-powered-by');
    // The application setting has no effect: the adapter's constructor has created the router already.
    Object.assign(express.router, { caseSensitive: true });
    // Before Express' router, which parses targets that are no paths with url.parse(), of which Node.js warns.
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      const { url = '' } = request;
      // OPTIONS of the server as a whole (RFC 9110, section 9.3.7).
      if (url === '*') return send(options(express), response);
      Object.assign(request, { originalUrl: url, url: hideKey(pathOf(url)) });
      express(request, response);
    };
    this.httpServer = createServer(
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
    this.httpServer.maxHeadersCount = MAX_HEADERS + 1;
    this.httpServer.setTimeout(idleTimeoutMs(this.#settings));
    // A half-closed client still receives its responses.
    Object.assign(this.httpServer, { httpAllowHalfOpen: true });
  }
}

function options(express: Express): HttpResponse {
  return { status: 204, headers: ['Allow', [...allMethods(express), 'OPTIONS'].join(', ')], body: undefined };
}
