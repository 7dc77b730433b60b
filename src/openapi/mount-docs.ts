import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { SwaggerModule } from '@nestjs/swagger';
import type { NextFunction, Request, Response } from 'express';
import type { Settings } from '../config/settings.ts';
import type { Schemas } from './operation-parts.ts';
import { pageHeaders } from '../http/response/page-headers.ts';
import { openApiDocument } from './openapi-document.ts';

/** Finds the files of the page from where they are required. */
const PAGE_FILES = createRequire(createRequire(import.meta.url).resolve('@nestjs/swagger'));

/**
 * Serves the OpenAPI document and, from this process alone, the page that shows it.
 *
 * @param schemas as {@link openApiDocument}.
 */
export function mountDocs(app: NestExpressApplication, settings: Settings, schemas: Schemas): void {
  app.use(['/docs', '/openapi.json'], pageHeaders('in the page'));
  app.use('/docs', redirectToPage);
  // They are served by middleware, which is not in the router's table: so it learns here which paths there are.
  const files = readdirSync(dirname(PAGE_FILES.resolve('swagger-ui-dist/package.json')));
  app
    .getHttpAdapter()
    .getInstance()
    .get(
      files.map((name) => `/docs/${name}`),
      (_request: Request, _response: Response, next: NextFunction) => next(),
    );
  SwaggerModule.setup('docs', app, () => openApiDocument(app, settings, schemas), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'Redis HTTP Cache Proxy',
    // Answers here lead nowhere else, and on a phone the empty column is too much.
    customCss: '.swagger-ui .response-col_links { display: none }',
    swaggerOptions: { displayRequestDuration: true, tryItOutEnabled: true, validatorUrl: null },
  });
}

/** The page has one address, from which the relative URLs in it lead to the proxy, whatever stands before it. */
function redirectToPage({ method, originalUrl }: Request, response: Response, next: NextFunction): void {
  const [path] = originalUrl.split('?', 1);
  if (method === 'GET' && /\/docs\/(?:index\.html)?$/.test(path)) response.redirect('../docs');
  else next();
}
