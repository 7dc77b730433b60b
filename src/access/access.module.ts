import { Module } from '@nestjs/common';
import { Settings } from '../config/settings.ts';
import { Access } from './access.ts';
import { AdminTokens } from './bearer-tokens.ts';

@Module({
  providers: [
    { provide: Access, inject: [Settings], useFactory: ({ access }: Settings) => new Access(access) },
    {
      provide: AdminTokens,
      inject: [Settings],
      useFactory: ({ adminTokens }: Settings) => new AdminTokens(adminTokens),
    },
  ],
  exports: [Access, AdminTokens],
})
export class AccessModule {}
