import { parseArgs } from 'node:util';
import './environment/environment.ts';
import { type SettingDescription, describeSettings } from './environment/setting.decorators.ts';
import { FORMER_NAMES } from './environment/former-names.ts';
import { nearestName } from './environment/unknown-names.ts';

/** Settings from the command line, by their names in the environment. */
export type Flags = Readonly<Record<string, string>>;

export type CommandLine =
  { readonly kind: 'start'; readonly flags: Flags } | { readonly kind: 'help' } | { readonly kind: 'version' };

/** All that is not understood of a command line, a line each. No value is part of it: it may be a secret. */
export class CommandLineError extends Error {
  override readonly name = 'CommandLineError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** A flag that takes a value: that of a setting, or the path of the file with a secret. */
interface ValueFlag {
  /** As the environment names it. */
  readonly variable: string;
  readonly setting: SettingDescription;
  /** Whether its value itself is a secret. */
  readonly isSecret: boolean;
}

/** The words that ask for something else than a start. */
const ASKING: ReadonlyMap<string, 'help' | 'version'> = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
]);

type Token = NonNullable<ReturnType<typeof parseArgs>['tokens']>[number];
type OptionToken = Extract<Token, { kind: 'option' }>;

const SEE_HELP = 'accepted: the flags that --help lists';

/**
 * Understands the words after the program's name: `--cache-capacity 3` or `--cache-capacity=3` for CACHE_CAPACITY. A word
 * that starts with `--` is never a value, so that a value that is missing is found to be. Who asks for help gets it,
 * whatever else is said.
 *
 * @throws CommandLineError
 */
export function readCommandLine(words: readonly string[]): CommandLine {
  const known = valueFlags();
  const tokens = tokensOf(words, [...known.keys()]);
  const asked = tokens.flatMap(({ kind, index }) => (kind === 'option' ? (ASKING.get(words[index]) ?? []) : []));
  if (asked.length > 0) return { kind: asked.includes('help') ? 'help' : 'version' };
  const flags: Record<string, string> = {};
  const problems = new Set<string>();
  tokens.forEach((token, at) => {
    if (token.kind === 'option') {
      const flag = words[token.index].startsWith('--') ? known.get(token.name) : undefined;
      if (flag === undefined) problems.add(unknownFlag(words[token.index], known));
      else takeValue(flag, valueOf(token, words), flags, problems);
    } else if (token.kind === 'option-terminator' || !isValueOfUnknown(tokens[at - 1], token.index, known)) {
      problems.add(`word ${token.index + 1} of the command line is no flag, and no value of one; ${SEE_HELP}`);
    }
  });
  if (problems.size > 0) throw new CommandLineError([...problems]);
  return { kind: 'start', flags };
}

/** Problems as {@link loadSettings} and the start tell them, with each setting called as it was given. */
export function namedAsGiven(problems: string, flags: Flags): string {
  return problems.replace(/^[A-Z][A-Z_]+(?:, [A-Z][A-Z_]+)*(?=: )/gm, (names) =>
    names.replace(/\w+/g, (name) => (name in flags ? flagOf(name) : name)),
  );
}

/** `--cache-capacity` for CACHE_CAPACITY. */
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

function tokensOf(words: readonly string[], names: readonly string[]): readonly Token[] {
  const args = words.map((word, at) => {
    // To parseArgs `-cache` would be `-c -a -c -h -e`.
    if (/^-[^-]/.test(word)) return `-${word}`;
    // A flag is not to take the next one for its value.
    return names.includes(word.replace(/^--/, '')) && isFlag(words[at + 1]) ? `${word}=` : word;
  });
  const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
  return parseArgs({ args, options, strict: false, tokens: true }).tokens;
}

function isFlag(word: string | undefined): boolean {
  return word !== undefined && (word.startsWith('--') || ASKING.has(word));
}

/** As it was typed; undefined when there is none, as opposed to one that is empty. */
function valueOf({ index, value, inlineValue }: OptionToken, words: readonly string[]): string | undefined {
  if (inlineValue === true) return words[index].includes('=') ? value : undefined;
  return value === undefined ? undefined : words[index + 1];
}

function takeValue(
  { variable, setting, isSecret }: ValueFlag,
  value: string | undefined,
  flags: Record<string, string>,
  problems: Set<string>,
): void {
  const flag = flagOf(variable);
  const accepted = setting.secret && !isSecret ? 'the path of a readable file' : setting.accepted;
  if (value === undefined || (value === '' && !setting.mayBeEmpty)) {
    problems.add(`${flag}: has no value; accepted: ${accepted}`);
  } else if (isSecret && setting.isHarmless?.(value) !== true) {
    const otherwise = `${flag}-file with the path of a file, or ${variable} in the environment`;
    problems.add(`${flag}: takes no secret, which every user of this machine could read; accepted: ${otherwise}`);
  } else if (variable in flags) {
    problems.add(`${flag}: is given more than once; accepted: once`);
  } else {
    flags[variable] = value;
  }
}

function unknownFlag(word: string, known: ReadonlyMap<string, ValueFlag>): string {
  const [typed] = word.split('=', 1);
  const meant = typed.replace(/^-+/, '').toLowerCase().replaceAll('_', '-');
  const suggestions = [...known].flatMap(([name, { variable }]) => (FORMER_NAMES.has(variable) ? [] : [name]));
  const nearest = nearestName(meant, [...suggestions, 'help', 'version']);
  const advice = nearest === undefined ? SEE_HELP : `did you mean ${offered(nearest, known)}?`;
  // To other programs a value may follow at once, `-asecret`.
  const shown = nearest === undefined && /^-[^-]./.test(typed) ? `${typed.slice(0, 2)}…` : typed;
  return `${/^[\x21-\x7e…]+$/.test(shown) ? shown : JSON.stringify(shown)}: there is no such flag; ${advice}`;
}

/** Of a secret its file. */
function offered(name: string, known: ReadonlyMap<string, ValueFlag>): string {
  const flag = known.get(name);
  return flag?.isSecret === true && flag.setting.isHarmless === undefined ? `--${name}-file` : `--${name}`;
}

/** Whether the word at this index is probably the value of a flag that does not exist: one problem is enough. */
function isValueOfUnknown(before: Token | undefined, index: number, known: ReadonlyMap<string, ValueFlag>): boolean {
  return (
    before?.kind === 'option' &&
    before.index === index - 1 &&
    before.inlineValue === undefined &&
    !known.has(before.name)
  );
}
