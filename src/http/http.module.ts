import { Module, type OnModuleInit } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core';
import { Access } from '../access/access.ts';
import { AccessModule } from '../access/access.module.ts';
import { CacheModule } from '../cache/cache.module.ts';
import { CoherenceState } from '../instance/coherence-state.ts';
import { httpConfig } from '../config/namespaces.ts';
import { Cors } from './server/cors.ts';
import { HttpConnections } from './server/connections/http-connections.ts';
import { Representations } from './content/representations.ts';
import { CachingPolicy } from './keys/caching-policy.ts';
import { KeyFastPath } from './fast-path/key-fast-path.ts';
import { MgetController } from './mget/mget.controller.ts';
import { PreflightController } from './preflight.controller.ts';
import { ProblemFilter } from './response/problem.filter.ts';
import { ResponseSender } from './response/response-sender.ts';
import { TlsModule } from '../tls/tls.module.ts';
import type { ProxyHttpAdapter } from './server/proxy-http-adapter.ts';
import { KeysController } from './keys/keys.controller.ts';
import { ResourcesController } from './resources/resources.controller.ts';

@Module({
  imports: [AccessModule, CacheModule, TlsModule],
  controllers: [KeysController, ResourcesController, MgetController, PreflightController],
  providers: [
    { provide: APP_FILTER, useClass: ProblemFilter },
    {
      provide: Cors,
      inject: [httpConfig.KEY],
      useFactory: (http: ConfigType<typeof httpConfig>) => new Cors(http.corsOrigins),
    },
    {
      provide: CachingPolicy,
      inject: [httpConfig.KEY, Access, CoherenceState],
      useFactory: (http: ConfigType<typeof httpConfig>, access: Access, coherence: CoherenceState) =>
        new CachingPolicy(http, access, coherence),
    },
    {
      provide: Representations,
      inject: [httpConfig.KEY, CachingPolicy],
      useFactory: (http: ConfigType<typeof httpConfig>, policy: CachingPolicy) => new Representations(http, policy),
    },
    ResponseSender,
    HttpConnections,
    KeyFastPath,
  ],
  exports: [Cors, HttpConnections],
})
export class HttpModule implements OnModuleInit {
  readonly #host: HttpAdapterHost<ProxyHttpAdapter>;
  readonly #sender: ResponseSender;

  constructor(host: HttpAdapterHost<ProxyHttpAdapter>, sender: ResponseSender) {
    this.#host = host;
    this.#sender = sender;
  }

  onModuleInit(): void {
    this.#host.httpAdapter.sendWith(this.#sender);
  }
}
