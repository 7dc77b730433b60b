import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { packageVersion } from '../config/package-version.ts';
import type { Settings } from '../config/settings.ts';
import { PROBLEM_SCHEMAS, SECURITY, type Schemas } from './operation-parts.ts';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

const METHODS = ['get', 'head', 'post', 'delete'] as const;

/**
 * Builds the OpenAPI document of an application: what its controllers say of their routes, and what its settings say of
 * tokens.
 *
 * @param schemas all that the controllers refer to, by name.
 */
export function openApiDocument(app: NestExpressApplication, settings: Settings, schemas: Schemas): OpenAPIObject {
  const tokenRequired = settings.access.tokens.length > 0;
  const document = SwaggerModule.createDocument(app, documentBase(settings).build());
  // Whoever runs the proxy is to be asked, and no address of theirs is known.
  document.info.contact = { name: 'The operators of this proxy' };
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) if (path[method] !== undefined) applyAccess(path[method], tokenRequired);
  }
  document.components = {
    ...document.components,
    schemas: structuredClone({ ...schemas, ...PROBLEM_SCHEMAS }),
  };
  return document;
}

function documentBase({ access, upstash }: Settings): DocumentBuilder {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle('Redis HTTP Cache Proxy')
    .setDescription('Read-only: GET by key from one Redis, through one cache. Keys and values are bytes.')
    .setVersion(packageVersion())
    .setLicense('MIT', 'https://opensource.org/license/mit')
    // Relative to where the document is found: a front end may serve it below a path of its own.
    .addServer('.', 'This proxy')
    .addTag('keys', 'Values of keys')
    .addSecurity(SECURITY.adminToken, { type: 'http', scheme: 'bearer', description: 'A token of ADMIN_TOKEN.' });
  if (access.tokens.length > 0) {
    builder.addSecurity(SECURITY.accessToken, {
      type: 'http',
      scheme: 'bearer',
      description: 'A token of ACCESS_TOKEN.',
    });
  }
  if (upstash.on) {
    builder.addTag('upstash', "Upstash's REST API: commands of Redis").addSecurity(SECURITY.accessTokenInQuery, {
      type: 'apiKey',
      in: 'query',
      name: '_token',
      description: 'A token of ACCESS_TOKEN, where there is no Authorization header.',
    });
  }
  return builder
    .addTag('admin', 'The cache, for operators who have the admin token')
    .addTag('health', 'For orchestrators and monitoring');
}

/** Has an operation demand what the proxy demands of its clients. */
function applyAccess(operation: Operation, tokenRequired: boolean): void {
  const demanded = operation.security ?? [];
  operation.security = tokenRequired ? demanded : demanded.filter((each) => !(SECURITY.accessToken in each));
  if (demanded.length > 0 && operation.security.length === 0) delete operation.responses['401'];
}
