import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { createModuleApp } from '../http/module-app.spec-support.ts';
import { MetricsModule } from './metrics.module.ts';

describe('MetricsModule', () => {
  let app: NestExpressApplication;
  beforeAll(async () => {
    app = await createModuleApp(MetricsModule, { ACCESS_TOKEN: 'reader', CACHE_CAPACITY: '7' });
  });
  afterAll(() => app?.close());

  it('GET /metrics returns Prometheus text without a token, not cacheable', async () => {
    const { text } = await request(app.getHttpServer())
      .get('/metrics')
      .expect(200)
      .expect('Content-Type', /^text\/plain; version=0\.0\.4/)
      .expect('Cache-Control', 'no-store');
    expect(text).toContain('# HELP redis_http_cache_proxy_cache_entries Entries currently cached.\n');
    expect(text).toContain('\nredis_http_cache_proxy_cache_capacity_entries 7\n');
  });

  it('counts a read under its transport and outcome', async () => {
    const server = app.getHttpServer();
    await request(server).get('/v1/keys/some').set('Authorization', 'Bearer reader').expect(200);
    await request(server).get('/v1/keys/some').expect(401);
    const { text } = await request(server).get('/metrics');
    for (const outcome of ['miss', 'unauthorized']) {
      expect(text).toContain(`\nredis_http_cache_proxy_requests_total{transport="http",outcome="${outcome}"} 1\n`);
    }
  });

  it('HEAD /metrics has no body', async () => {
    const { text } = await request(app.getHttpServer()).head('/metrics').expect(200);
    expect(text).toBeUndefined();
  });

  it('responds 405 to other methods', async () => {
    await request(app.getHttpServer()).post('/metrics').expect(405).expect('Allow', 'GET, HEAD');
  });
});
