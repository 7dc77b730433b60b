import { parseArgs } from 'node:util';
import { describeSettings } from '../environment/environment.ts';
import type { SettingDescription } from '../environment/setting.decorators.ts';
import { FORMER_NAMES } from '../environment/former-names.ts';
import { nearestName } from '../environment/unknown-names.ts';

/** Settings on the command line, under their names in the environment. */
export type Flags = Readonly<Record<string, string>>;

export type CommandLine =
  { readonly kind: 'start'; readonly flags: Flags } | { readonly kind: 'help' } | { readonly kind: 'version' };

/** The command line is invalid; `problems` has one line for each error, none of which contains a value: it may be secret. */
export class CommandLineError extends Error {
  override readonly name = 'CommandLineError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** A flag for a setting, or for the path of a file that contains a secret. */
interface ValueFlag {
  /** The name in the environment. */
  readonly variable: string;
  readonly setting: SettingDescription;
  /** Whether the value of the flag would be the secret itself. */
  readonly isSecret: boolean;
}

/** Flags that print something and exit. */
const INFO_FLAGS: ReadonlyMap<string, 'help' | 'version'> = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
]);

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];
type OptionToken = Extract<Token, { kind: 'option' }>;

const SEE_HELP = 'see --help';

/**
 * Parses the arguments of the program: `--cache-capacity 3` or `--cache-capacity=3` for CACHE_CAPACITY. An argument that
 * starts with `--` is never the value of the flag before it, so that a missing value is detected. `--help` and `--version`
 * take precedence over errors.
 *
 * @throws CommandLineError
 */
export function readCommandLine(args: readonly string[]): CommandLine {
  const known = valueFlags();
  const tokens = tokensOf(args, [...known.keys()]);
  const info = tokens.flatMap(({ kind, index }) => (kind === 'option' ? (INFO_FLAGS.get(args[index]) ?? []) : []));
  if (info.length > 0) return { kind: info.includes('help') ? 'help' : 'version' };
  const flags: Record<string, string> = {};
  const problems = new Set<string>();
  tokens.forEach((token, at) => {
    if (token.kind === 'option') {
      const flag = args[token.index].startsWith('--') ? known.get(token.name) : undefined;
      if (flag === undefined) problems.add(unknownFlag(args[token.index], known));
      else assignFlag(flag, valueOf(token, args), flags, problems);
    } else if (token.kind === 'option-terminator' || !isValueOfUnknown(tokens[at - 1], token.index, known)) {
      problems.add(`unexpected argument ${token.index + 1}; ${SEE_HELP}`);
    }
  });
  if (problems.size > 0) throw new CommandLineError([...problems]);
  return { kind: 'start', flags };
}

/** Replaces the names of settings at the start of error lines by those of their flags, if they were given as flags. */
export function withFlagNames(problems: string, flags: Flags): string {
  return problems.replace(/^[A-Z][A-Z_]+(?:, [A-Z][A-Z_]+)*(?=: )/gm, (names) =>
    names.replace(/\w+/g, (name) => (name in flags ? flagOf(name) : name)),
  );
}

/** Returns the flag of a variable: `--cache-capacity` for CACHE_CAPACITY. */
export function flagOf(variable: string): string {
  return `--${variable.toLowerCase().replaceAll('_', '-')}`;
}

function valueFlags(): ReadonlyMap<string, ValueFlag> {
  const flags = describeSettings().flatMap((setting): ValueFlag[] => {
    const { name, secret } = setting;
    const plain = { variable: name, setting, isSecret: secret };
    return secret ? [plain, { variable: `${name}_FILE`, setting, isSecret: false }] : [plain];
  });
  const former = [...FORMER_NAMES].flatMap(([variable, name]) => {
    const present = flags.find((flag) => flag.variable === name);
    return present === undefined ? [] : [{ ...present, variable }];
  });
  return new Map([...flags, ...former].map((flag) => [flagOf(flag.variable).slice(2), flag]));
}

function tokensOf(args: readonly string[], names: readonly string[]): readonly Token[] {
  const normalised = args.map((arg, at) => {
    // parseArgs would read `-cache` as `-c -a -c -h -e`.
    if (/^-[^-]/.test(arg)) return `-${arg}`;
    // The next flag must not become the value of this one.
    return names.includes(arg.replace(/^--/, '')) && isFlag(args[at + 1]) ? `${arg}=` : arg;
  });
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  return parseArgs({ args: normalised, options, strict: false, tokens: true }).tokens;
}

function isFlag(arg: string | undefined): boolean {
  return arg !== undefined && (arg.startsWith('--') || INFO_FLAGS.has(arg));
}

/** Returns the value as typed; undefined if it is missing, as opposed to empty. */
function valueOf({ index, value, inlineValue }: OptionToken, args: readonly string[]): string | undefined {
  if (inlineValue === true) return args[index].includes('=') ? value : undefined;
  return value === undefined ? undefined : args[index + 1];
}

function assignFlag(
  { variable, setting, isSecret }: ValueFlag,
  value: string | undefined,
  flags: Record<string, string>,
  problems: Set<string>,
): void {
  const flag = flagOf(variable);
  const accepted = setting.secret && !isSecret ? 'the path of a readable file' : setting.accepted;
  if (value === undefined || (value === '' && !setting.mayBeEmpty)) {
    problems.add(`${flag}: value missing; expected ${accepted}`);
  } else if (isSecret && setting.isPublic?.(value) !== true) {
    problems.add(
      `${flag}: secrets on the command line are visible to every local user; use ${flag}-file or ${variable}`,
    );
  } else if (variable in flags) {
    problems.add(`${flag}: given more than once`);
  } else {
    flags[variable] = value;
  }
}

function unknownFlag(arg: string, known: ReadonlyMap<string, ValueFlag>): string {
  const [typed] = arg.split('=', 1);
  const meant = typed.replace(/^-+/, '').toLowerCase().replaceAll('_', '-');
  const suggestions = [...known].flatMap(([name, { variable }]) => (FORMER_NAMES.has(variable) ? [] : [name]));
  const nearest = nearestName(meant, [...suggestions, 'help', 'version']);
  const advice = nearest === undefined ? SEE_HELP : `did you mean ${suggestionFor(nearest, known)}?`;
  // In other programs a value may follow a short flag directly: `-asecret`.
  const shown = nearest === undefined && /^-[^-]./.test(typed) ? `${typed.slice(0, 2)}…` : typed;
  return `${/^[\x21-\x7e\u2026]+$/.test(shown) ? shown : JSON.stringify(shown)}: unknown flag; ${advice}`;
}

/** Returns the flag to suggest: for a secret, that of its file. */
function suggestionFor(name: string, known: ReadonlyMap<string, ValueFlag>): string {
  const flag = known.get(name);
  return flag?.isSecret === true && flag.setting.isPublic === undefined ? `--${name}-file` : `--${name}`;
}

/** Returns whether an argument is probably the value of an unknown flag, which has been reported. */
function isValueOfUnknown(before: Token | undefined, index: number, known: ReadonlyMap<string, ValueFlag>): boolean {
  return (
    before?.kind === 'option' &&
    before.index === index - 1 &&
    before.inlineValue === undefined &&
    !known.has(before.name)
  );
}
