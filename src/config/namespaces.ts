import { type ConfigFactory, type ConfigFactoryKeyHost, registerAs } from '@nestjs/config';
import type { Settings } from './settings.ts';

type Namespace<Values extends object> = (() => Values) & ConfigFactoryKeyHost<Values>;

// A class injects the groups that it needs: `@Inject(cacheConfig.KEY) cache: ConfigType<typeof cacheConfig>`.
export const httpConfig = namespace('http');
export const respConfig = namespace('resp');
export const opsConfig = namespace('ops');
export const redisConfig = namespace('redis');
export const cacheConfig = namespace('cache');
export const proxyConfig = namespace('proxy');
export const accessConfig = namespace('access');
export const adminConfig = namespace('admin');

const NAMES = ['http', 'resp', 'ops', 'redis', 'cache', 'proxy', 'access', 'admin'] as const;

type Name = (typeof NAMES)[number];

/** Returns the factories that provide the groups of these settings under the keys of the namespaces. */
export function loadNamespaces(settings: Settings): ConfigFactory[] {
  return NAMES.map((name) => registerAs(name, () => settings[name]));
}

/** Declares the key and the type of a group. Its values come from {@link loadNamespaces}. */
function namespace<Group extends Name>(name: Group): Namespace<Settings[Group]> {
  return registerAs(name, (): Settings[Group] => {
    throw new Error(`the settings of ${name} were not loaded`);
  });
}
