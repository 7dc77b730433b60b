import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Access } from '../access/access.ts';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { CoherenceState } from '../cache/coherence-state.ts';
import { Settings } from '../config/settings.ts';
import { Cors } from './cors.ts';
import { HttpConnections } from './http-connections.ts';
import { KeyPolicy } from './key-policy.ts';
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
    {
      provide: KeyPolicy,
      inject: [Settings, Access, CoherenceState],
      useFactory: (settings: Settings, access: Access, coherence: CoherenceState) =>
        new KeyPolicy(settings, access, coherence),
    },
    HttpConnections,
    KeyLane,
  ],
  exports: [Cors, HttpConnections],
})
export class HttpModule {}
