import { type DynamicModule, Module } from '@nestjs/common';
import { Settings } from './settings.ts';

/** Hands the validated settings to every module: the one thing that everyone may read. */
@Module({})
export class ConfigModule {
  static forRoot(settings: Settings): DynamicModule {
    return {
      module: ConfigModule,
      global: true,
      providers: [{ provide: Settings, useValue: settings }],
      exports: [Settings],
    };
  }
}
