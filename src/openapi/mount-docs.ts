import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { NotFoundException } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import type { Settings } from '../config/settings.ts';
import { pageHeaders } from '../http/response/page-headers.ts';
import type { ProxyHttpAdapter } from '../http/server/proxy-http-adapter.ts';
import { type DocsFile, DocsFiles } from './docs-files.ts';

const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

/**
 * Serves the OpenAPI document and Swagger UI, without resources from other hosts. The document is made at build time
 * (write-docs.ts), so a worker thread loads no part of `@nestjs/swagger`.
 */
export function mountDocs(adapter: ProxyHttpAdapter, settings: Settings): void {
  const files = new DocsFiles(settings);
  for (const path of ['/docs', '/openapi.json']) adapter.use(path, pageHeaders('in the page'));
  adapter.use('/docs', redirectToPage);
  const serve = (path: string, type: string, name: DocsFile): void => {
    adapter.get(path, (_request: Request, response: Response) => response.type(type).send(files.text(name)));
  };
  serve('/docs', 'text/html', 'index.html');
  serve('/docs/swagger-ui-init.js', 'application/javascript', 'swagger-ui-init.js');
  serve('/openapi.json', 'application/json', 'openapi.json');
  // The licence of Swagger UI alone, which is not the one of this service.
  adapter.get('/docs/LICENSE', () => {
    throw new NotFoundException();
  });
  // Middleware serves the other files; their routes make the paths known to the router, for 405 and Allow.
  for (const name of ['', ...readdirSync(SWAGGER_UI)]) {
    adapter.get(`/docs/${name}`, (_request: Request, _response: Response, next: NextFunction) => next());
  }
  adapter.useStaticAssets(SWAGGER_UI, { prefix: '/docs' });
}

/** Redirects to the canonical address of the page, whose relative URLs also work behind a path prefix. */
function redirectToPage({ method, originalUrl }: Request, response: Response, next: NextFunction): void {
  const [path] = originalUrl.split('?', 1);
  const isRead = method === 'GET' || method === 'HEAD';
  if (isRead && /\/docs\/(?:index\.html)?$/.test(path)) response.redirect('../docs');
  else next();
}
