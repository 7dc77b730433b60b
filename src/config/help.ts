import { flagOf } from './command-line.ts';
import { SETTING_GROUPS } from './environment/setting-groups.ts';
import { type SettingDescription, describeSettings } from './environment/setting.decorators.ts';

const COLUMNS = 100;
/** Where the words begin that tell what a flag means. */
const MEANING_AT = 34;

/** What `--help` answers: every flag, by groups, with its meaning, its default and what is accepted. */
export function helpText(version: string): string {
  const groups = Object.entries(SETTING_GROUPS).map(([title, names]) => {
    const flags = describeSettings().filter(({ name }) => names.test(name));
    return [title, ...flags.flatMap(describe)].join('\n');
  });
  return `${[introduction(version), ...groups, EXIT_STATUS].join('\n\n')}\n`;
}

function introduction(version: string): string {
  return `redis-http-cache-proxy ${version}
A read-only proxy in front of one Redis, or a cluster: GET by key over HTTP from one strict-LRU
cache.

Usage: redis-http-cache-proxy [--<setting> <value> | --<setting>=<value>]...

Every setting has a default. A flag wins over the environment, where --cache-capacity is called
CACHE_CAPACITY, and the environment wins over the file .env in the working directory. Every user of
the machine can read a command line: what is secret is given as the path of a file, or in the
environment.

${entry('-h, --help', 'prints this')}
${entry('-v, --version', 'prints the version')}`;
}

const EXIT_STATUS = `Exit status
  0: after SIGTERM or SIGINT, all that was under way has been finished; or after --help or --version
  1: a bad setting, or a start that failed
  2: words on the command line that are not understood`;

function describe(setting: SettingDescription): string[] {
  const { name, meaning, accepted, defaultText, secret, isHarmless } = setting;
  const fallback = defaultText === '' ? '' : `; default: ${defaultText}`;
  const inFile = entry(flagOf(`${name}_FILE`), meaning, `takes the path of a file that holds ${accepted}${fallback}`);
  const plain = entry(flagOf(name), meaning, `takes ${accepted}${fallback}`);
  if (!secret) return [plain];
  if (isHarmless === undefined) return [inFile];
  return [
    plain,
    entry(flagOf(`${name}_FILE`), 'takes the path of a file that holds it; needed where it has a password'),
  ];
}

/** A flag, and behind it paragraphs that fit into the columns that are left. */
function entry(flag: string, ...paragraphs: readonly string[]): string {
  const lines = paragraphs.flatMap((paragraph) => wrap(paragraph, COLUMNS - MEANING_AT));
  return lines.map((line, at) => (at === 0 ? `  ${flag}` : '').padEnd(MEANING_AT) + line).join('\n');
}

function wrap(text: string, columns: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1];
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= columns) lines[lines.length - 1] += ` ${word}`;
    else lines.push(word);
  }
  return lines;
}
