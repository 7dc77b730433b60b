import { Module } from '@nestjs/common';
import { CacheModule } from '../cache/cache.module.ts';
import { ThreadContext } from '../instance/thread-context.ts';
import { HandshakeCounts } from './handshake-counts.ts';
import { TlsListeners } from './tls-listeners.ts';

/** TLS of the listeners: their certificates and handshakes. */
@Module({
  imports: [CacheModule],
  providers: [
    {
      provide: HandshakeCounts,
      inject: [ThreadContext],
      useFactory: ({ instance, threadIndex }: ThreadContext) => new HandshakeCounts(instance, threadIndex),
    },
    TlsListeners,
  ],
  exports: [HandshakeCounts, TlsListeners],
})
export class TlsModule {}
