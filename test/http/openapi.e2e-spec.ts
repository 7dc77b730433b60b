import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiDocument } from '../support/documentation.ts';
import { describeOwn } from '../support/only-own.ts';
import { lintOpenApi } from '../support/openapi-lint.ts';
import { TestProxy } from '../support/proxy.ts';

const KEY_ROUTES = [
  ...['/v1/keys/{key}', '/v1/mget', '/v1/hashes/{key}', '/v1/hashes/{key}/{field}', '/v1/lists/{key}'],
  ...['/v1/sets/{key}', '/v1/sets/{key}/{member}', '/v1/sorted-sets/{key}', '/v1/json/{key}'],
];
const UPSTASH_ROUTES = ['/', '/pipeline', '/get/{key}'];
const ADMIN_ROUTES = ['/v1/cache', '/v1/cache/hot-keys', '/v1/cache/{key}'];
const OPEN_ROUTES = ['/health/live', '/health/ready', '/metrics'];

const ADMIN = { adminToken: [] };
const READER = { accessToken: [] };
const READER_IN_QUERY = { accessTokenInQuery: [] };

const VARIANTS = [
  ['without tokens', {}],
  ['with an ACCESS_TOKEN and an ADMIN_TOKEN', { ACCESS_TOKEN: 'reader', ADMIN_TOKEN: 'operator' }],
  ['with an ACCESS_TOKEN, without UPSTASH_REST_API', { ACCESS_TOKEN: 'reader', UPSTASH_REST_API: 'off' }],
] as const;

describeOwn('the OpenAPI document of a proxy', () => {
  describe.each(VARIANTS)('%s', (_variant, settings: Readonly<Record<string, string>>) => {
    const hasReaders = 'ACCESS_TOKEN' in settings;
    const hasUpstash = hasReaders && settings.UPSTASH_REST_API !== 'off';
    let proxy: TestProxy;
    let document: ApiDocument;
    beforeAll(async () => {
      proxy = await TestProxy.start({ PROXY_THREADS: 1, ...settings });
      document = (await proxy.get('/openapi.json')).json as unknown as ApiDocument;
    });
    afterAll(() => proxy?.stop());

    const operations = (routes: readonly string[]) => routes.flatMap((route) => Object.values(document.paths[route]));

    it('passes spectral and redocly', async () => {
      expect(await lintOpenApi(document)).toEqual([]);
    });

    it('requires the same tokens as the proxy, on the same routes', () => {
      for (const { security, responses } of operations(KEY_ROUTES)) {
        expect(security).toEqual(hasReaders ? [READER] : []);
        expect('401' in responses).toBe(hasReaders);
      }
      if (hasUpstash)
        for (const each of operations(UPSTASH_ROUTES)) expect(each.security).toEqual([READER, READER_IN_QUERY]);
      else expect(Object.keys(document.paths)).not.toEqual(expect.arrayContaining(UPSTASH_ROUTES));
      for (const { security } of operations(ADMIN_ROUTES)) expect(security).toEqual([ADMIN]);
      for (const { security } of operations(OPEN_ROUTES)) expect(security).toEqual([]);
      const schemes = [
        'adminToken',
        ...(hasReaders ? ['accessToken'] : []),
        ...(hasUpstash ? ['accessTokenInQuery'] : []),
      ];
      expect(Object.keys(document.components.securitySchemes).sort()).toEqual(schemes.sort());
    });

    it('does not describe tokens as JWT', () => {
      expect(JSON.stringify(document)).not.toMatch(/bearerFormat|JWT/i);
    });

    it('has a named schema for each body', () => {
      const contents = operations(Object.keys(document.paths)).flatMap(({ requestBody, responses }) =>
        [requestBody, ...Object.values(responses)].flatMap((each) => Object.values(each?.content ?? {})),
      );
      expect(contents.length).toBeGreaterThan(20);
      for (const { schema } of contents) {
        expect(schema).toEqual({ $ref: expect.stringMatching(/^#\/components\/schemas\/\w+$/) });
      }
    });

    it('describes each tag, and has a unique operationId for each operation', () => {
      const all = operations(Object.keys(document.paths));
      const used = new Set(all.flatMap(({ tags }) => tags ?? []));
      expect(new Set(document.tags.map(({ name }) => name))).toEqual(used);
      for (const { description } of document.tags) expect(description).toMatch(/\w/);
      expect(new Set(all.map(({ operationId }) => operationId)).size).toBe(all.length);
    });
  });
});
