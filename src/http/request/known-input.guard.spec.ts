import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller, Delete, Get, UseGuards } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import request from 'supertest';
import { ReadMetrics } from '../../instance/read-metrics.ts';
import { KnownInputGuard, QueryParameters } from './known-input.guard.ts';
import { ProblemFilter } from '../response/problem.filter.ts';

let deletions = 0;

@Controller('things')
@UseGuards(KnownInputGuard)
class ThingsController {
  @Get()
  list(): string {
    return 'all';
  }

  @Delete()
  @QueryParameters(['prefix', 'pattern'])
  remove(): string {
    deletions++;
    return 'removed';
  }
}

describe('KnownInputGuard', () => {
  let app: NestExpressApplication;
  beforeAll(async () => {
    const module = await Test.createTestingModule({
      controllers: [ThingsController],
      providers: [ProblemFilter, { provide: ReadMetrics, useValue: { countFailure: () => undefined } }],
    }).compile();
    app = module.createNestApplication<NestExpressApplication>({ bodyParser: false });
    app.useGlobalFilters(app.get(ProblemFilter));
    await app.init();
  });
  afterAll(() => app?.close());

  it('accepts requests with known query parameters', async () => {
    await request(app.getHttpServer()).get('/things').expect(200, 'all');
    await request(app.getHttpServer()).delete('/things?prefix=a&pattern=b').expect(200, 'removed');
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
