import { Transform } from 'class-transformer';
import { Matches, ValidateBy } from 'class-validator';

/** What a person needs to know of a setting. */
export interface SettingDescription {
  readonly name: string;
  readonly meaning: string;
  /** As one would write it; empty when there is none. */
  readonly default: string;
  /** The same for people, where the value depends on the machine. */
  readonly defaultText: string;
  /** What is accepted, in words. */
  readonly accepted: string;
  /** Its value is never shown, and it has a `_FILE` form. */
  readonly secret: boolean;
  /** Whether nothing in this value of a secret has to be kept secret; undefined: that cannot be. */
  readonly isHarmless: ((value: string) => boolean) | undefined;
  /** An empty value means something; elsewhere it is none. */
  readonly mayBeEmpty: boolean;
}

interface Common {
  readonly meaning: string;
  readonly secret?: boolean;
  readonly isHarmless?: (value: string) => boolean;
  readonly mayBeEmpty?: boolean;
}

const descriptions: SettingDescription[] = [];

/** The settings in the order in which they are declared. */
export function describeSettings(): readonly SettingDescription[] {
  return descriptions;
}

/** A whole number from `min` to `max`, both included. */
export function WholeNumber(
  options: Common & { default: number; defaultText?: string; min: number; max: number },
): PropertyDecorator {
  const { min, max } = options;
  const accepted = `a whole number from ${min} to ${max}${options.mayBeEmpty ? ', or nothing' : ''}`;
  return compose(
    describe({ ...options, default: String(options.default), accepted }, options.defaultText),
    Transform(({ value }: { value: unknown }) =>
      typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value,
    ),
    ValidateBy(
      {
        name: 'wholeNumber',
        validator: { validate: (value) => Number.isSafeInteger(value) && value >= min && value <= max },
      },
      { message: accepted },
    ),
  );
}

/** `true` or `false`. */
export function Flag(options: Common & { default: boolean }): PropertyDecorator {
  const accepted = 'true or false';
  return compose(
    describe({ ...options, default: String(options.default), accepted }),
    Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value)),
    ValidateBy({ name: 'flag', validator: { validate: (value) => typeof value === 'boolean' } }, { message: accepted }),
  );
}

/** One of a few words. */
export function OneOf(
  options: Common & { default: string; defaultText?: string; words: readonly string[] },
): PropertyDecorator {
  const accepted = `one of ${options.words.join(', ')}`;
  return compose(
    describe({ ...options, accepted }, options.defaultText),
    ValidateBy(
      { name: 'oneOf', validator: { validate: (value: string) => options.words.includes(value) } },
      { message: accepted },
    ),
  );
}

/** Text that a pattern or a check accepts. */
export function Text(
  options: Common & { default?: string; accepted: string; pattern?: RegExp; check?: (value: string) => boolean },
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

function describe(
  description: Common & Pick<SettingDescription, 'default' | 'accepted'>,
  defaultText = description.default,
): PropertyDecorator {
  const { meaning, accepted, secret = false, isHarmless, mayBeEmpty = false } = description;
  return (_target, property) => {
    const [name, value] = [String(property), description.default];
    descriptions.push({ name, meaning, accepted, secret, isHarmless, mayBeEmpty, default: value, defaultText });
  };
}

function compose(...decorators: PropertyDecorator[]): PropertyDecorator {
  return (target, name) => decorators.forEach((decorate) => decorate(target, name));
}
