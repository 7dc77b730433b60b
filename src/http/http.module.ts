import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { Settings } from '../config/settings.ts';
import { Cors } from './cors.ts';
import { HttpConnections } from './http-connections.ts';
import { KeyLane } from './lane/key-lane.ts';
import { MgetController } from './mget/mget.controller.ts';
import { ProblemFilter } from './problem.filter.ts';
import { ProxyController } from './proxy.controller.ts';

@Module({
  imports: [AccessModule, CacheModule],
  controllers: [ProxyController, MgetController],
  providers: [
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: Cors, inject: [Settings], useFactory: ({ http }: Settings) => new Cors(http.corsOrigins) },
    HttpConnections,
    KeyLane,
  ],
  exports: [HttpConnections],
})
export class HttpModule {}
