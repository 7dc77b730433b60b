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

/** Resolves the files of the page from the package that depends on them. */
const PAGE_FILES = createRequire(createRequire(import.meta.url).resolve('@nestjs/swagger'));

/**
 * Serves the OpenAPI document and the page that shows it, without resources from other hosts.
 *
 * @param schemas as for {@link openApiDocument}.
 */
export function mountDocs(app: NestExpressApplication, settings: Settings, schemas: Schemas): void {
  app.use(['/docs', '/openapi.json'], pageHeaders('in the page'));
  app.use('/docs', redirectToPage);
  // Middleware serves them; the routes make the paths known to the router, for 405 and Allow.
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
    // Responses have no links, and the empty column is too wide for a phone.
    customCss: '.swagger-ui .response-col_links { display: none }',
    swaggerOptions: { displayRequestDuration: true, tryItOutEnabled: true, validatorUrl: null },
  });
}

/** Redirects to the canonical address of the page, whose relative URLs also work behind a path prefix. */
function redirectToPage({ method, originalUrl }: Request, response: Response, next: NextFunction): void {
  const [path] = originalUrl.split('?', 1);
  if (method === 'GET' && /\/docs\/(?:index\.html)?$/.test(path)) response.redirect('../docs');
  else next();
}
