import { isIP, isIPv6 } from 'node:net';
import { Transform } from 'class-transformer';
import { Matches, ValidateBy } from 'class-validator';

/** A setting as the help, the documentation and error messages describe it. */
export interface SettingDescription {
  readonly name: string;
  readonly meaning: string;
  /** As written in the environment; empty if there is no default. */
  readonly default: string;
  /** The default for people, where it depends on the machine; otherwise the same as `default`. */
  readonly defaultText: string;
  /** The accepted values, in words. */
  readonly accepted: string;
  /** Whether its value is never shown and may come from a file, with its `_FILE` form. */
  readonly secret: boolean;
  /** Returns whether a value of this secret contains nothing secret; undefined if every value is secret. */
  readonly isPublic: ((value: string) => boolean) | undefined;
  /** Whether an empty value has a meaning of its own; otherwise it counts as unset. */
  readonly mayBeEmpty: boolean;
}

interface CommonOptions {
  readonly meaning: string;
  readonly secret?: boolean;
  readonly isPublic?: (value: string) => boolean;
  readonly mayBeEmpty?: boolean;
}

/** A class whose properties are settings. */
export type EnvironmentClass<Values extends object = object> = new () => Values;

const descriptions = new Map<unknown, SettingDescription[]>();

/** Returns the settings that a class declares, in the order of its properties. */
export function settingsOf(environment: EnvironmentClass): readonly SettingDescription[] {
  return descriptions.get(environment) ?? [];
}

/** Declares an integer from `min` to `max`, both included. */
export function IntegerSetting(
  options: CommonOptions & { default?: number; defaultText?: string; min: number; max: number },
): PropertyDecorator {
  const { min, max } = options;
  const accepted = `an integer from ${min} to ${max}${options.mayBeEmpty ? ', or an empty value' : ''}`;
  return compose(
    describe({ ...options, default: String(options.default ?? ''), accepted }, options.defaultText),
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value,
    ),
    ValidateBy(
      {
        name: 'integer',
        validator: { validate: (value) => Number.isSafeInteger(value) && value >= min && value <= max },
      },
      { message: accepted },
    ),
  );
}

/** Declares a decimal fraction from `min` to `max`, both included, with at most four digits after the point. */
export function FractionSetting(
  options: CommonOptions & { default: number; min: number; max: number },
): PropertyDecorator {
  const { min, max } = options;
  const accepted = `a number from ${min} to ${max}, such as 0.1`;
  return compose(
    describe({ ...options, default: String(options.default), accepted }),
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d(?:\.\d{1,4})?$/.test(value) ? Number(value) : value,
    ),
    ValidateBy(
      {
        name: 'fraction',
        validator: { validate: (value) => typeof value === 'number' && value >= min && value <= max },
      },
      { message: accepted },
    ),
  );
}

/** Declares a setting that is `true` or `false`. */
export function BooleanSetting(options: CommonOptions & { default: boolean }): PropertyDecorator {
  const accepted = 'true or false';
  return compose(
    describe({ ...options, default: String(options.default), accepted }),
    Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value)),
    ValidateBy(
      { name: 'boolean', validator: { validate: (value) => typeof value === 'boolean' } },
      { message: accepted },
    ),
  );
}

/** Declares a setting that has one of the given values. */
export function EnumSetting(
  options: CommonOptions & { default: string; defaultText?: string; values: readonly string[] },
): PropertyDecorator {
  const accepted = `one of ${options.values.join(', ')}`;
  return compose(
    describe({ ...options, accepted }, options.defaultText),
    ValidateBy(
      { name: 'enum', validator: { validate: (value: string) => options.values.includes(value) } },
      { message: accepted },
    ),
  );
}

/** Declares a text that matches a pattern and passes a check. */
export function TextSetting(
  options: CommonOptions & { default?: string; accepted: string; pattern?: RegExp; check?: (value: string) => boolean },
): PropertyDecorator {
  const { accepted, pattern = /^[^\r\n]+$/, check = () => true } = options;
  return compose(
    describe({ ...options, default: options.default ?? '' }),
    Matches(pattern, { message: accepted }),
    ValidateBy(
      { name: 'text', validator: { validate: (value) => typeof value === 'string' && check(value) } },
      { message: accepted },
    ),
  );
}

/** Declares an address to listen on: an IP address, IPv6 ones also in brackets as in URLs, or a host name. */
export function ListenHostSetting(options: {
  default?: string;
  accepted?: string;
  meaning: string;
}): PropertyDecorator {
  return compose(
    Transform(({ value }: { value: unknown }) => (typeof value === 'string' ? withoutBrackets(value) : value)),
    TextSetting({
      accepted: 'an IP address or a host name',
      ...options,
      check: (value) => isIP(value) !== 0 || /^[\w-]+(?:\.[\w-]+)*\.?$/.test(value),
    }),
  );
}

function withoutBrackets(host: string): string {
  const inner = /^\[(.*)\]$/.exec(host)?.[1];
  return inner !== undefined && isIPv6(inner) ? inner : host;
}

function describe(
  description: CommonOptions & Pick<SettingDescription, 'default' | 'accepted'>,
  defaultText = description.default,
): PropertyDecorator {
  const { meaning, accepted, secret = false, isPublic, mayBeEmpty = false } = description;
  return ({ constructor }, property) => {
    const [name, value] = [String(property), description.default];
    const declared = descriptions.get(constructor) ?? [];
    declared.push({ name, meaning, accepted, secret, isPublic, mayBeEmpty, default: value, defaultText });
    descriptions.set(constructor, declared);
  };
}

function compose(...decorators: PropertyDecorator[]): PropertyDecorator {
  return (target, name) => decorators.forEach((decorate) => decorate(target, name));
}
