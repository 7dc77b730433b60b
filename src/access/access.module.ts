import { Module } from '@nestjs/common';
import type { ConfigType } from '@nestjs/config';
import { accessConfig, adminConfig } from '../config/namespaces.ts';
import { Access } from './access.ts';
import { AdminTokens } from './bearer-tokens.ts';

@Module({
  providers: [
    {
      provide: Access,
      inject: [accessConfig.KEY],
      useFactory: (access: ConfigType<typeof accessConfig>) => new Access(access),
    },
    {
      provide: AdminTokens,
      inject: [adminConfig.KEY],
      useFactory: (admin: ConfigType<typeof adminConfig>) => new AdminTokens(admin.tokens),
    },
  ],
  exports: [Access, AdminTokens],
})
export class AccessModule {}
