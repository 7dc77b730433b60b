/**
 * Writes the files of the API page, as `@nestjs/swagger` renders them, into the build: `node build/openapi/write-docs.js`, a
 * step of `npm run build`.
 */
import 'reflect-metadata';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { SwaggerModule } from '@nestjs/swagger';
import { AppModule } from '../app.module.ts';
import { loadSettings } from '../config/load-settings.ts';
import { ProxyHttpAdapter } from '../http/server/proxy-http-adapter.ts';
import { DOCS_FOLDER, DOCUMENT_VARIANTS, type DocsFile } from './docs-files.ts';
import { openApiDocument } from './openapi-document.ts';

/** Paths of the files in the application that renders them. */
const PATHS: Readonly<Record<DocsFile, string>> = {
  'index.html': '/docs',
  'swagger-ui-init.js': '/docs/swagger-ui-init.js',
  'openapi.json': '/openapi.json',
};

for (const [variant, environment] of Object.entries(DOCUMENT_VARIANTS)) {
  const folder = join(DOCS_FOLDER, variant);
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of await render(environment)) writeFileSync(join(folder, name), text);
}

/** Renders the files for some settings, by name. */
async function render(environment: Readonly<Record<string, string>>): Promise<(readonly [string, string])[]> {
  const settings = loadSettings(environment, '/nowhere');
  const ports = { http: 0, resp: undefined, ops: undefined, shared: false };
  // In preview mode NestJS reads the controllers' metadata and creates no provider.
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.forRoot(settings, ports),
    new ProxyHttpAdapter(settings),
    { preview: true, logger: false, bodyParser: false, abortOnError: false },
  );
  SwaggerModule.setup('docs', app, () => openApiDocument(app, settings), {
    jsonDocumentUrl: 'openapi.json',
    raw: ['json'],
    customSiteTitle: 'Redis HTTP Cache Proxy',
    // Responses have no links, and the empty column is too wide for a phone.
    customCss: '.swagger-ui .response-col_links { display: none }',
    swaggerOptions: { displayRequestDuration: true, tryItOutEnabled: true, validatorUrl: null },
  });
  const server = createServer(app.getHttpAdapter().getInstance()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const read = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  const files = await Promise.all(Object.entries(PATHS).map(async ([name, path]) => [name, await read(path)] as const));
  server.close();
  server.closeAllConnections();
  return files;
}
