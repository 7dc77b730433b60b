import { createServer } from 'node:http';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Express, NextFunction, Request, Response } from 'express';
import { MAX_KEY_BYTES, hideKey } from './key-path.ts';

/** The longest key, each of its bytes percent-encoded, and as much again as node:http allows by default. */
const MAX_HEADER_BYTES = 3 * MAX_KEY_BYTES + 16 * 1024;

/** Express, but for what a proxy of arbitrary keys needs otherwise: long request lines, and paths that are no UTF-8. */
export class ProxyHttpAdapter extends ExpressAdapter {
  override initHttpServer(): void {
    const express = this.getInstance<Express>();
    express.disable('x-powered-by');
    express.use((request: Request, _response: Response, next: NextFunction) => {
      request.url = hideKey(request.url);
      next();
    });
    this.httpServer = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, express);
  }
}
