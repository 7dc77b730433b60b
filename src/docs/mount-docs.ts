import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { PROBLEM_SCHEMA } from '../http/openapi.ts';
import { pageHeaders } from '../http/page-headers.ts';
import { packageVersion } from '../config/package-version.ts';

/** Serves the OpenAPI document and, from this process alone, the page that shows it. */
export function mountDocs(app: NestExpressApplication): void {
  app.use(['/docs', '/openapi.json'], pageHeaders('in the page'));
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
