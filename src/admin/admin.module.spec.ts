import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { createModuleApp } from '../http/module-app.spec-support.ts';
import { AdminModule } from './admin.module.ts';

const PROBLEM = /^application\/problem\+json/;

describe('AdminModule without ADMIN_TOKEN', () => {
  let app: NestExpressApplication;
  beforeEach(async () => {
    app = await createModuleApp(AdminModule);
  });
  afterEach(() => app?.close());

  it('responds 404 admin-disabled, whatever token is sent', async () => {
    const { body } = (await request(app.getHttpServer())
      .delete('/v1/cache')
      .set('Authorization', 'Bearer guess')
      .expect(404)
      .expect('Content-Type', PROBLEM)) as { body: unknown };
    expect(body).toMatchObject({ code: 'admin-disabled' });
  });
});

describe('AdminModule with ADMIN_TOKEN', () => {
  let app: NestExpressApplication;
  beforeEach(async () => {
    app = await createModuleApp(AdminModule, { ADMIN_TOKEN: 'admin' });
    await request(app.getHttpServer()).get('/v1/keys/some').expect(200);
  });
  afterEach(() => app?.close());

  const authorized = { Authorization: 'Bearer admin' };

  it.each([{}, { Authorization: 'Bearer wrong' }])(
    'responds 401 without a valid token and purges nothing: %j',
    async (headers) => {
      const server = app.getHttpServer();
      const { body } = (await request(server)
        .delete('/v1/cache/some')
        .set(headers)
        .expect(401)
        .expect('Content-Type', PROBLEM)
        .expect('WWW-Authenticate', 'Bearer realm="admin"')) as { body: unknown };
      expect(body).toMatchObject({ code: 'unauthorized', detail: 'A valid admin token is required.' });
      await request(server)
        .get('/v1/keys/some')
        .expect('Cache-Status', /; hit;/);
    },
  );

  it('returns the statistics of the cache, not cacheable', async () => {
    const { body } = (await request(app.getHttpServer())
      .get('/v1/cache')
      .set(authorized)
      .expect(200)
      .expect('Content-Type', /^application\/json/)
      .expect('Cache-Control', 'no-store')) as { body: unknown };
    expect(body).toMatchObject({ entries: 1, capacity: 10, misses: 1, loads: 1, coherence: { state: 'ttl' } });
  });

  it('purges a key, once', async () => {
    const purge = () => request(app.getHttpServer()).delete('/v1/cache/some').set(authorized);
    await purge().expect(200, { purged: true });
    await purge().expect(200, { purged: false });
  });

  it('flushes all entries and returns their number', async () => {
    const flush = () => request(app.getHttpServer()).delete('/v1/cache').set(authorized);
    await flush().expect(200, { flushed: 1 });
    await flush().expect(200, { flushed: 0 });
  });

  it.each([
    ['prefix=so', 1],
    ['prefix=some', 1],
    ['prefix=somewhere', 0],
    ['prefix=%73', 1],
    ['pattern=*', 1],
    ['pattern=s?m[^a]', 1],
    ['pattern=so', 0],
  ])('purges the keys that %s selects, and returns the number of their entries: %d', async (query, purged) => {
    const server = app.getHttpServer();
    await request(server).delete(`/v1/cache?${query}`).set(authorized).expect(200, { purged });
    await request(server)
      .get('/v1/keys/some')
      .expect('Cache-Status', purged === 1 ? /; fwd=uri-miss; stored$/ : /; hit;/);
  });

  it.each(['&', 'a=b', 'prefix', 'prefix=', 'pattern=', 'prefix=s&pattern=s', 'prefix=s&prefix=s', 'prefix=s&x=1'])(
    'responds 400 to the query "%s", and purges nothing',
    async (query) => {
      const server = app.getHttpServer();
      const { body } = (await request(server)
        .delete(`/v1/cache?${query}`)
        .set(authorized)
        .expect(400)
        .expect('Content-Type', PROBLEM)) as { body: unknown };
      expect(body).toMatchObject({
        code: 'bad-request',
        detail: expect.stringMatching(/Nothing was done\.$/) as unknown,
      });
      await request(server)
        .get('/v1/keys/some')
        .expect('Cache-Status', /; hit;/);
    },
  );

  it('responds 400 to a body, and purges nothing', async () => {
    const server = app.getHttpServer();
    await request(server).delete('/v1/cache?prefix=s').set(authorized).send({ prefix: 'some' }).expect(400);
    await request(server)
      .get('/v1/keys/some')
      .expect('Cache-Status', /; hit;/);
  });
});
