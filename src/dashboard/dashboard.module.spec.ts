import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { RedisStub, createModuleApp } from '../http/module-app.spec-support.ts';
import { DashboardController } from './dashboard.controller.ts';
import { DashboardModule } from './dashboard.module.ts';
import type { DashboardSnapshot } from './dashboard-snapshot.ts';

describe('DashboardModule', () => {
  let app: NestExpressApplication;
  let redis: RedisStub;
  beforeEach(async () => {
    redis = new RedisStub();
    app = await createModuleApp(DashboardModule, { ACCESS_TOKEN: 'reader' }, redis);
  });
  afterEach(() => app?.close());

  it('serves the page without a token, with a Content-Security-Policy', async () => {
    const { text } = await request(app.getHttpServer())
      .get('/')
      .expect(200)
      .expect('Content-Type', 'text/html; charset=utf-8')
      .expect('Content-Security-Policy', /^default-src 'none';script-src 'self'/);
    expect(text).toContain('<title>Redis HTTP Cache Proxy</title>');
  });

  it.each([
    ['style.css', 'text/css; charset=utf-8'],
    ['icon.svg', 'image/svg+xml'],
    ['uplot.js', 'text/javascript; charset=utf-8'],
  ])('serves %s as %s, and 304 to its ETag', async (name, type) => {
    const server = app.getHttpServer();
    const { headers } = await request(server).get(`/dashboard/${name}`).expect(200).expect('Content-Type', type);
    await request(server).get(`/dashboard/${name}`).set('If-None-Match', String(headers.etag)).expect(304);
  });

  it.each(['nothing.js', 'live/nothing.js', '..%2f..%2fmain.ts'])('responds 404 to %s', async (name) => {
    const { body } = (await request(app.getHttpServer())
      .get(`/dashboard/${name}`)
      .expect(404)
      .expect('Content-Type', /^application\/problem\+json/)) as { body: unknown };
    expect(body).toMatchObject({ code: 'route-not-found' });
  });

  /** Returns the one snapshot that is sent after the stream was closed for shutdown. */
  async function lastSnapshot(): Promise<{ readonly text: string; readonly snapshot: DashboardSnapshot }> {
    app.get(DashboardController).onModuleDestroy();
    const { text } = await request(app.getHttpServer())
      .get('/dashboard/events')
      .buffer(true)
      .parse((response, done) => {
        let received = '';
        response.on('data', (chunk: Buffer) => (received += chunk.toString()));
        response.on('end', () => done(null, received));
      })
      .expect(200)
      .expect('Content-Type', 'text/event-stream')
      .then(({ body }: { body: string }) => ({ text: body }));
    return { text, snapshot: JSON.parse(/^data: (.*)\n\n$/m.exec(text)?.[1] ?? '') as DashboardSnapshot };
  }

  it('sends a single snapshot, without keys or tokens, after the stream was closed for shutdown', async () => {
    await request(app.getHttpServer()).get('/v1/keys/some').set('Authorization', 'Bearer reader').expect(200);
    const { text, snapshot } = await lastSnapshot();
    expect(snapshot.reads.http).toMatchObject({ miss: 1, hit: 0 });
    expect(snapshot.auth).toEqual({ tokenRequired: true, adminEnabled: false });
    expect(text).not.toMatch(/some|reader/);
    expect(snapshot.readSources).toBeNull();
  });

  it('sends the servers that keys are loaded from, with REDIS_READ_FROM', async () => {
    const replica = { host: '10.0.0.1', port: 6379, id: '' };
    redis.sources = {
      epoch: 1,
      latestEpoch: new Int32Array(1),
      sources: [
        { master: 'a', role: 'replica', address: '10.0.0.1:6379', replica },
        { master: 'b', role: 'none' },
      ],
    };
    expect((await lastSnapshot()).snapshot.readSources).toEqual({
      servers: [
        { role: 'replica', address: '10.0.0.1:6379' },
        { role: 'none', address: null },
      ],
      lagSeconds: 0,
    });
  });
});
