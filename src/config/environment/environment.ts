import 'reflect-metadata';
import { plainToInstance } from 'class-transformer';
import { type ValidationError, validateSync } from 'class-validator';
import { AccessEnvironment } from './access.environment.ts';
import { CacheEnvironment } from './cache.environment.ts';
import { HttpEnvironment } from './http.environment.ts';
import { LimitsEnvironment } from './limits.environment.ts';
import { OperationsEnvironment } from './operations.environment.ts';
import { ProtocolsEnvironment } from './protocols.environment.ts';
import { RedisEnvironment } from './redis.environment.ts';
import { type EnvironmentClass, type SettingDescription, settingsOf } from './setting.decorators.ts';

/** The settings as the environment names them, parsed. */
export type Environment = HttpEnvironment &
  ProtocolsEnvironment &
  RedisEnvironment &
  CacheEnvironment &
  LimitsEnvironment &
  AccessEnvironment &
  OperationsEnvironment;

const GROUPS: readonly (readonly [title: string, environment: EnvironmentClass])[] = [
  ['HTTP', HttpEnvironment],
  ['Other protocols', ProtocolsEnvironment],
  ['Redis', RedisEnvironment],
  ['Cache', CacheEnvironment],
  ['Threads and limits', LimitsEnvironment],
  ['Access control', AccessEnvironment],
  ['Operations', OperationsEnvironment],
];

/** Settings under one heading of the help and the documentation. */
export interface SettingGroup {
  readonly title: string;
  readonly settings: readonly SettingDescription[];
}

export function settingGroups(): readonly SettingGroup[] {
  return GROUPS.map(([title, environment]) => ({ title, settings: settingsOf(environment) }));
}

/** Returns all settings in the order in which they are declared. */
export function describeSettings(): readonly SettingDescription[] {
  return settingGroups().flatMap(({ settings }) => settings);
}

/**
 * Parses and validates settings.
 *
 * @param given the values of the settings that are set or have a default.
 * @param report called for each invalid value with the name of its setting and the accepted values.
 * @returns the parsed values; invalid ones unchanged.
 */
export function validateEnvironment(
  given: Readonly<Record<string, string>>,
  report: (name: string, accepted: string) => void,
): Environment {
  const values = GROUPS.map(([, environment]) => {
    const names = settingsOf(environment).map(({ name }) => name);
    const own = Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)));
    const parsed = plainToInstance(environment, own);
    const errors: ValidationError[] = validateSync(parsed, { stopAtFirstError: true, skipUndefinedProperties: true });
    for (const { property, constraints = {} } of errors) report(property, Object.values(constraints).join('; '));
    return parsed;
  });
  return Object.assign({}, ...values) as Environment;
}
