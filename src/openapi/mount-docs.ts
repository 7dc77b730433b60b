import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { NotFoundException } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import type { Settings } from '../config/settings.ts';
import { pageHeaders } from '../http/response/page-headers.ts';
import { DocsFiles } from './docs-files.ts';

const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

/**
 * Serves the OpenAPI document and Swagger UI, without resources from other hosts. The document is made at build time
 * (write-docs.ts), so a worker thread loads no part of `@nestjs/swagger`.
 */
export function mountDocs(app: NestExpressApplication, settings: Settings): void {
  const files = new DocsFiles(settings);
  const express = app.getHttpAdapter().getInstance();
  app.use(['/docs', '/openapi.json'], pageHeaders('in the page'));
  app.use('/docs', redirectToPage);
  express.get('/docs', (_request, response) => response.type('text/html').send(files.text('index.html')));
  express.get('/docs/swagger-ui-init.js', (_request, response) =>
    response.type('application/javascript').send(files.text('swagger-ui-init.js')),
  );
  express.get('/openapi.json', (_request, response) =>
    response.type('application/json').send(files.text('openapi.json')),
  );
  // The licence of Swagger UI alone, which is not the one of this service.
  express.get('/docs/LICENSE', () => {
    throw new NotFoundException();
  });
  // Middleware serves the other files; their routes make the paths known to the router, for 405 and Allow.
  const paths = readdirSync(SWAGGER_UI).map((name) => `/docs/${name}`);
  express.get(['/docs/', ...paths], (_request, _response, next) => next());
  app.useStaticAssets(SWAGGER_UI, { prefix: '/docs' });
}

/** Redirects to the canonical address of the page, whose relative URLs also work behind a path prefix. */
function redirectToPage({ method, originalUrl }: Request, response: Response, next: NextFunction): void {
  const [path] = originalUrl.split('?', 1);
  const isRead = method === 'GET' || method === 'HEAD';
  if (isRead && /\/docs\/(?:index\.html)?$/.test(path)) response.redirect('../docs');
  else next();
}
