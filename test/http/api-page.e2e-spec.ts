import { validate } from '@apidevtools/swagger-parser';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeOwn } from '../support/only-own.ts';
import { type ApiDocument, demoKeys, seedDemoKeys } from '../support/documentation.ts';
import { TestProxy } from '../support/proxy.ts';
import { TestRedis } from '../support/redis.ts';

let redis: TestRedis;
let proxy: TestProxy;

beforeAll(async () => {
  redis = await TestRedis.start();
  proxy = await TestProxy.use({ REDIS_URL: redis.url, PROXY_THREADS: 2, ADMIN_TOKEN: 'admin' });
});
afterAll(async () => {
  await proxy?.stop();
  await redis?.stop();
});

async function document(): Promise<ApiDocument> {
  return (await proxy.get('/openapi.json')).json as unknown as ApiDocument;
}

describe('/docs', () => {
  it('is an HTML page', async () => {
    const { status, headers, text } = await proxy.get('/docs');
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^text\/html/);
    expect(text).toContain('id="swagger-ui"');
  });

  it('loads its resources from the proxy only', async () => {
    const page = await proxy.get('/docs');
    const references = [...page.text.matchAll(/<(?:script|link|img)\b[^>]*?\b(?:src|href)="([^"]+)"/g)].map(
      ([, reference]) => new URL(reference, `${proxy.url}/docs`),
    );
    expect(references.length).toBeGreaterThanOrEqual(4);
    for (const { origin, pathname } of references) {
      expect(origin).toBe(new URL(proxy.url).origin);
      const { status, headers, body } = await proxy.get(pathname);
      expect([pathname, status]).toEqual([pathname, 200]);
      expect(headers['content-type']).toMatch(pathname.endsWith('.js') ? /javascript/ : /^(?:text\/css|image\/png)/);
      expect(body.length).toBeGreaterThan(100);
    }
  });

  it('has security headers that permit its own resources only', async () => {
    const { headers, text } = await proxy.get('/docs');
    const policy = new Map(
      String(headers['content-security-policy'])
        .split(';')
        .map((directive) => directive.split(' '))
        .map(([name, ...sources]) => [name, sources.join(' ')]),
    );
    expect(Object.fromEntries(policy)).toEqual({
      'default-src': "'none'",
      'script-src': "'self'",
      'style-src': "'self' 'unsafe-inline'",
      'img-src': "'self' data:",
      'connect-src': "'self'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
    });
    expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    expect(headers['strict-transport-security']).toBeUndefined();
    // The page has no inline script.
    expect(text.match(/<script(?![^>]*\bsrc=)/g) ?? []).toEqual([]);
    expect(text).not.toMatch(/<[^>]+\son\w+=|javascript:/i);
    const scripts = await Promise.all(
      ['swagger-ui-bundle.js', 'swagger-ui-init.js'].map((name) => proxy.get(`/docs/${name}`)),
    );
    for (const script of scripts) expect(script.headers['x-content-type-options']).toBe('nosniff');
    // The policy forbids eval; the library that tries it has a fallback.
    expect(scripts[0].text).not.toMatch(/[^.\w]eval\(/);
    expect((await proxy.get('/openapi.json')).headers['x-content-type-options']).toBe('nosniff');
  });

  it('refers to no other host except in SVG namespaces and the link to the license', async () => {
    const page = (await proxy.get('/docs')).text;
    const start = (await proxy.get('/docs/swagger-ui-init.js')).text;
    const hosts = [...`${page}${start}`.matchAll(/(?:https?:)?\/\/([a-z0-9-]+\.[a-z0-9.-]+)/gi)].map(
      ([, host]) => host,
    );
    expect(new Set(hosts)).toEqual(new Set(['www.w3.org', 'opensource.org']));
    // Swagger UI would load a badge from another host by default.
    expect(start).toContain('"validatorUrl": null');
  });
});

describe('/openapi.json', () => {
  it('is a valid OpenAPI document', async () => {
    const { status, headers } = await proxy.get('/openapi.json');
    expect([status, headers['content-type']]).toEqual([200, expect.stringMatching(/^application\/json/)]);
    const description = structuredClone(await document());
    await expect(validate(description as never)).resolves.toBeDefined();
  });

  it('describes every route', async () => {
    const { paths } = await document();
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual([
      'DELETE /v1/cache',
      'DELETE /v1/cache/{key}',
      'GET /health/live',
      'GET /health/ready',
      'GET /metrics',
      'GET /v1/cache',
      'GET /v1/cache/hot-keys',
      'GET /v1/hashes/{key}',
      'GET /v1/hashes/{key}/{field}',
      'GET /v1/json/{key}',
      'GET /v1/keys/{key}',
      'GET /v1/lists/{key}',
      'GET /v1/sets/{key}',
      'GET /v1/sets/{key}/{member}',
      'GET /v1/sorted-sets/{key}',
      'HEAD /v1/keys/{key}',
      'POST /v1/mget',
    ]);
  });

  it('has a summary of each operation and examples of inputs and responses', async () => {
    for (const [path, methods] of Object.entries((await document()).paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const name = `${method} ${path}`;
        expect([name, operation.summary]).toEqual([name, expect.stringMatching(/\w/)]);
        expect([name, operation.operationId]).toEqual([name, expect.stringMatching(/^\w+$/)]);
        for (const parameter of operation.parameters ?? []) {
          expect([name, parameter.schema.example ?? Object.keys(parameter.examples ?? {}).length]).not.toEqual([
            name,
            0,
          ]);
          expect([name, parameter.description]).toEqual([name, expect.stringMatching(/\w/)]);
        }
        for (const response of Object.values(operation.responses)) {
          expect([name, response.description]).toEqual([name, expect.stringMatching(/\w/)]);
          for (const header of Object.values(response.headers ?? {})) expect(header.example).toMatch(/./);
        }
      }
    }
  });
});

describeOwn('the examples of {key}', () => {
  it('has examples that work with the demo data', async () => {
    await seedDemoKeys(redis.client);
    const parameters = (await document()).paths['/v1/keys/{key}'].get.parameters ?? [];
    const examples = parameters.find(({ name }) => name === 'key')?.examples ?? {};
    const responses = new Map<string, [status: number, body: string]>();
    for (const { value } of Object.values(examples)) {
      const { status, body } = await proxy.get(`/v1/keys/${encodeURIComponent(value)}`);
      responses.set(value, [status, status === 200 ? body.toString('latin1') : '']);
    }
    const strings = demoKeys.filter(({ value }) => typeof value === 'string' || value instanceof Uint8Array);
    const expected = strings.map(({ key, value }): [string, [number, string]] => [
      key,
      [200, Buffer.from(value as string).toString('latin1')],
    ]);
    expect(responses).toEqual(new Map([...expected, ['queue', [409, '']], ['nobody', [404, '']]]));
  });

  it('has examples of other types that work with the demo data, with all parameters of the example', async () => {
    await seedDemoKeys(redis.client);
    const { paths } = await document();
    for (const [path, { get }] of Object.entries(paths)) {
      if (!/^\/v1\/(?:hashes|lists|sets|sorted-sets)\//.test(path)) continue;
      const parameters = get.parameters ?? [];
      const keys = Object.values(parameters.find(({ name }) => name === 'key')?.examples ?? {});
      const statuses = keys.map(async ({ value }) => {
        const inPath = path.replace('{key}', value).replace(/\{(\w+)\}/, (_, part: string) => {
          const { examples = {} } = parameters.find(({ name }) => name === part) ?? {};
          return examples.existing.value;
        });
        const query = parameters.flatMap(({ name, schema: { example } }) =>
          typeof example === 'string' ? [`${name}=${example}`] : [],
        );
        return (await proxy.get(`${inPath}${query.length > 0 ? `?${query.join('&')}` : ''}`)).status;
      });
      expect([path, await Promise.all(statuses)]).toEqual([path, [path.includes('{member}') ? 204 : 200, 409, 404]]);
    }
  });
});
