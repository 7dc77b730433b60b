import { Module } from '@nestjs/common';
import { Settings } from '../config/settings.ts';
import { Access } from './access.ts';

@Module({
  providers: [{ provide: Access, inject: [Settings], useFactory: ({ access }: Settings) => new Access(access) }],
  exports: [Access],
})
export class AccessModule {}
