import type { NestExpressApplication } from '@nestjs/platform-express';
import { ApiExcludeController, DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { ADMIN_API } from '../admin/admin.openapi.ts';
import { packageVersion } from '../config/package-version.ts';
import type { Settings } from '../config/settings.ts';
import { DashboardController } from '../dashboard/dashboard.controller.ts';
import { PreflightController } from '../http/preflight.controller.ts';
import { HEALTH_API } from '../health/health.openapi.ts';
import { KEYS_API } from '../http/keys/keys.openapi.ts';
import { RESOURCES_API } from '../http/resources/resources.openapi.ts';
import { MGET_API } from '../http/mget/mget.openapi.ts';
import { METRICS_API } from '../metrics/metrics.openapi.ts';
import { UPSTASH_API } from '../upstash/upstash.openapi.ts';
import { PROBLEM_SCHEMAS, SECURITY, type Schemas } from './operation-parts.ts';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

const METHODS = ['get', 'head', 'post', 'delete'] as const;

ApiExcludeController()(DashboardController);
ApiExcludeController()(PreflightController);

/**
 * Builds the OpenAPI document of an application from the descriptions of its controllers and the access settings. The
 * application need not be initialised.
 */
export function openApiDocument(app: NestExpressApplication, settings: Settings): OpenAPIObject {
  const tokenRequired = settings.access.tokens.length > 0;
  const document = SwaggerModule.createDocument(app, documentBase(settings).build());
  // The operators are the contact, but the proxy does not know their address.
  document.info.contact = { name: 'The operators of this proxy' };
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) if (path[method] !== undefined) applyAccess(path[method], tokenRequired);
  }
  document.components = {
    ...document.components,
    schemas: structuredClone(schemasFor(settings)),
  };
  return document;
}

function schemasFor({ upstash }: Settings): Schemas {
  const api = {
    ...KEYS_API,
    ...RESOURCES_API,
    ...MGET_API,
    ...(upstash.on ? UPSTASH_API : {}),
    ...ADMIN_API,
    ...HEALTH_API,
    ...METRICS_API,
  };
  return { ...api, ...PROBLEM_SCHEMAS };
}

function documentBase({ access, upstash }: Settings): DocumentBuilder {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle('Redis HTTP Cache Proxy')
    .setDescription('Read-only access to the keys of one Redis through a shared cache. Keys and values are bytes.')
    .setVersion(packageVersion())
    .setLicense('MIT', 'https://opensource.org/license/mit')
    // Relative to the document's URL, which may have a path prefix behind a reverse proxy.
    .addServer('.', 'This proxy')
    .addTag('keys', 'Values of keys')
    .addTag('types', 'Hashes, lists, sets, sorted sets and JSON documents')
    .addSecurity(SECURITY.adminToken, { type: 'http', scheme: 'bearer', description: 'A token of ADMIN_TOKEN.' });
  if (access.tokens.length > 0) {
    builder.addSecurity(SECURITY.accessToken, {
      type: 'http',
      scheme: 'bearer',
      description: 'A token of ACCESS_TOKEN.',
    });
  }
  if (upstash.on) {
    builder.addTag('upstash', "Redis commands over Upstash's REST API").addSecurity(SECURITY.accessTokenInQuery, {
      type: 'apiKey',
      in: 'query',
      name: '_token',
      description: 'A token of ACCESS_TOKEN, if there is no Authorization header.',
    });
  }
  return builder
    .addTag('admin', 'Cache administration with the admin token')
    .addTag('health', 'For orchestrators and monitoring');
}

/** Removes the access token from an operation if the proxy does not require one. */
function applyAccess(operation: Operation, tokenRequired: boolean): void {
  const required = operation.security ?? [];
  operation.security = tokenRequired ? required : required.filter((each) => !(SECURITY.accessToken in each));
  if (required.length > 0 && operation.security.length === 0) delete operation.responses['401'];
}
