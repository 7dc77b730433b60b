import type { DynamicModule } from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { loadNamespaces } from './namespaces.ts';
import type { Settings } from './settings.ts';

/**
 * Returns the global module that provides each group of settings under the key of its namespace. The settings have been
 * validated by the main thread, so this module reads neither the environment nor files.
 */
export function configModule(settings: Settings): Promise<DynamicModule> {
  return ConfigModule.forRoot({
    isGlobal: true,
    ignoreEnvFile: true,
    ignoreEnvVars: true,
    skipProcessEnv: true,
    load: loadNamespaces(settings),
  });
}
