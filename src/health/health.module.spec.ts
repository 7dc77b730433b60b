import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { HttpConnections } from '../http/server/connections/http-connections.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { RedisStub, createModuleApp } from '../http/module-app.spec-support.ts';
import { HealthModule } from './health.module.ts';
import { SelfCheck } from './self-check.ts';

describe('HealthModule', () => {
  let app: NestExpressApplication;
  let redis: RedisStub;
  beforeEach(async () => {
    redis = new RedisStub();
    app = await createModuleApp(HealthModule, { ACCESS_TOKEN: 'reader', RESP_PORT: '', HTTP_FAST_PATH: 'off' }, redis);
  });
  afterEach(() => app?.close());

  const get = (path: string) =>
    request(app.getHttpServer())
      .get(path)
      .expect('Content-Type', 'application/json')
      .expect('Cache-Control', 'no-store');

  it('is ready without a token while Redis responds', async () => {
    const parts = { redis: 'ok', coherence: 'ttl', fastPath: 'off', redisProtocol: 'off' };
    await get('/health/ready').expect(200, { status: 'ok', ...parts });
  });

  it('is live but not ready while Redis fails, and names the reason', async () => {
    redis.checked = { kind: 'unavailable', reason: 'NOPERM', missingPermission: '+pttl' };
    const { body } = (await get('/health/ready').expect(503)) as { body: unknown };
    expect(body).toMatchObject({
      status: 'unavailable',
      redis: 'unavailable',
      reasons: ['Redis: the account lacks +pttl (NOPERM)'],
    });
    await get('/health/live').expect(200, { status: 'ok' });
  });

  it('is neither live nor ready while the self-check of a thread fails', async () => {
    const { instance, threadIndex } = app.get(ThreadContext);
    instance.noteSelfCheck(threadIndex, 'fast-path', false);
    await get('/health/live').expect(503, { status: 'unavailable', fastPath: 'failed' });
  });

  it('checks the fast path with a value in no content coding, whatever coding the settings say of all keys', async () => {
    await app.close();
    app = await createModuleApp(HealthModule, { RESP_PORT: '', HTTP_CONTENT_ENCODINGS: '*=gzip' }, redis);
    expect(await app.get(SelfCheck).run()).toEqual({ 'fast-path': 'ok', 'redis-protocol': 'off' });
  });

  it('is live but not ready during a drain', async () => {
    app.get(HttpConnections).stopListening();
    await get('/health/ready').expect(503, { status: 'shutting-down' });
    await get('/health/live').expect(200);
  });
});
