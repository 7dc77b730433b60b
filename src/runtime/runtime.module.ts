import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import type { Settings } from '../config/settings.ts';
import { HttpModule } from '../http/http.module.ts';
import { SequentialGuard } from '../http/server/sequential.guard.ts';
import { Mutex } from '../net/mutex.ts';
import { RedisModule } from '../redis/redis.module.ts';
import { RespModule } from '../resp/resp.module.ts';
import { TlsModule } from '../tls/tls.module.ts';
import { Listeners, PORTS, type Ports } from './listeners.ts';
import { SupervisorChannel } from './supervisor-channel.ts';

/** What makes the application a worker thread: its listeners and its connection to the supervisor. */
@Module({})
export class RuntimeModule {
  static forRoot({ proxy }: Settings, ports: Ports): DynamicModule {
    return {
      module: RuntimeModule,
      imports: [AccessModule, CacheModule, HttpModule, RedisModule, RespModule, TlsModule],
      providers: [
        { provide: PORTS, useValue: ports },
        ...(proxy.mode === 'sequential' ? sequentialProviders() : []),
        Listeners,
        SupervisorChannel,
      ],
    };
  }
}

/** Returns the mutex that serialises requests and the guard that makes HTTP requests wait for it. */
function sequentialProviders(): NonNullable<DynamicModule['providers']> {
  const useFactory = (mutex: Mutex, reflector: Reflector): SequentialGuard => new SequentialGuard(mutex, reflector);
  return [Mutex, { provide: APP_GUARD, inject: [Mutex, Reflector], useFactory }];
}
