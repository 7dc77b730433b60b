import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NextFunction, Request, Response } from 'express';
import { PROBLEM_SCHEMA } from '../http/openapi.ts';
import { pageHeaders } from '../http/page-headers.ts';
import { packageVersion } from '../config/package-version.ts';

/** Finds the files of the page from where they are required. */
const PAGE_FILES = createRequire(createRequire(import.meta.url).resolve('@nestjs/swagger'));

/** Serves the OpenAPI document and, from this process alone, the page that shows it. */
export function mountDocs(app: NestExpressApplication): void {
  app.use(['/docs', '/openapi.json'], pageHeaders('in the page'));
  // They are served by middleware, which is not in the router's table: so it learns here which paths there are.
  const files = readdirSync(dirname(PAGE_FILES.resolve('swagger-ui-dist/package.json')));
  app
    .getHttpAdapter()
    .getInstance()
    .get(
      files.map((name) => `/docs/${name}`),
      (_request: Request, _response: Response, next: NextFunction) => next(),
    );
  SwaggerModule.setup('docs', app, () => openApiDocument(app), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'Redis HTTP Cache Proxy',
    // Answers here lead nowhere else, and on a phone the empty column is too much.
    customCss: '.swagger-ui .response-col_links { display: none }',
    swaggerOptions: { displayRequestDuration: true, tryItOutEnabled: true, validatorUrl: null },
  });
}

function openApiDocument(app: NestExpressApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle('Redis HTTP Cache Proxy')
    .setDescription('Read-only: GET by key from one Redis, through one cache. Keys and values are bytes.')
    .setVersion(packageVersion())
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer('/')
    .addTag('keys', 'The values')
    .addTag('admin', 'The cache, for operators who have the admin token')
    .addTag('health', 'For orchestrators and monitoring')
    .addBearerAuth(
      { type: 'http', scheme: 'bearer', description: 'A token of ACCESS_TOKEN, where the proxy has any.' },
      'accessToken',
    )
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'A token of ADMIN_TOKEN.' }, 'adminToken')
    .build();
  const document = SwaggerModule.createDocument(app, config);
  document.components = {
    ...document.components,
    schemas: { ...document.components?.schemas, Problem: structuredClone(PROBLEM_SCHEMA) as object },
  };
  return document;
}
