import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Delete, Get, Module, UseGuards } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import { createModuleApp } from '../module-app.spec-support.ts';
import { type HttpResponse, jsonResponse } from '../response/http-response.ts';
import { KnownInputGuard, QueryParameters } from './known-input.guard.ts';

let deletions = 0;

@Controller('things')
@UseGuards(KnownInputGuard)
class ThingsController {
  @Get()
  list(): HttpResponse {
    return jsonResponse(200, { things: 'all' });
  }

  @Delete()
  @QueryParameters(['prefix', 'pattern'])
  remove(): HttpResponse {
    deletions++;
    return jsonResponse(200, { removed: true });
  }
}

@Module({ controllers: [ThingsController] })
class ThingsModule {}

describe('KnownInputGuard', () => {
  let app: NestExpressApplication;
  beforeAll(async () => {
    app = await createModuleApp(ThingsModule);
  });
  afterAll(() => app?.close());

  it('accepts requests with known query parameters', async () => {
    await request(app.getHttpServer()).get('/things').expect(200, { things: 'all' });
    await request(app.getHttpServer()).delete('/things?prefix=a&pattern=b').expect(200, { removed: true });
    expect(deletions).toBe(1);
  });

  it('rejects unknown input before the handler runs', async () => {
    const server = app.getHttpServer();
    const problems = [
      await request(server).get('/things?prefix=a'),
      await request(server).delete('/things?prefix=a&key=b'),
      await request(server).delete('/things?prefix=a&prefix=b'),
      await request(server).delete('/things?prefix=a').send({ prefix: 'b' }),
    ];
    expect(problems.map(({ status, body }) => [status, (body as { code: string }).code])).toEqual(
      Array(4).fill([400, 'bad-request']),
    );
    expect(problems.map(({ body }) => (body as { detail: string }).detail)).toEqual([
      'The query parameter "prefix" is unknown here; known: none. Nothing was done.',
      'The query parameter "key" is unknown here; known: prefix, pattern. Nothing was done.',
      'The query parameter "prefix" is given twice. Nothing was done.',
      'No body is expected. Nothing was done.',
    ]);
    expect(deletions).toBe(1);
  });
});
