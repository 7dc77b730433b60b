import { Module } from '@nestjs/common';
import { CacheModule } from '../cache/cache.module.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { RefusedCommands } from './refused-commands.ts';

@Module({
  imports: [CacheModule],
  providers: [
    {
      provide: RefusedCommands,
      inject: [ThreadContext],
      useFactory: ({ instance }: ThreadContext) => new RefusedCommands(instance),
    },
  ],
  exports: [RefusedCommands],
})
export class RedisCommandsModule {}
