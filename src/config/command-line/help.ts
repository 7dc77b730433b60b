import { flagOf } from './command-line.ts';
import { settingGroups } from '../environment/environment.ts';
import type { SettingDescription } from '../environment/setting.decorators.ts';

const COLUMNS = 100;
/** The column in which the descriptions start. */
const DESCRIPTION_COLUMN = 38;

/** Returns the output of `--help`: every flag, by group, with its meaning, its accepted values and its default. */
export function helpText(version: string): string {
  const groups = settingGroups().map(({ title, settings }) => [title, ...settings.flatMap(describe)].join('\n'));
  return `${[introduction(version), ...groups, EXIT_STATUS].join('\n\n')}\n`;
}

function introduction(version: string): string {
  return `redis-http-cache-proxy ${version}
A read-only caching proxy for Redis: reads by key over HTTP and the Redis protocol, from one strict
LRU cache.

Usage: redis-http-cache-proxy [--<setting> <value> | --<setting>=<value>]...

Every setting has a default. A flag overrides the environment variable (CACHE_CAPACITY for
--cache-capacity), which overrides the file .env in the working directory. Command lines are visible
to every local user: pass secrets in files or in the environment.

${entry('-h, --help', 'print this help')}
${entry('-v, --version', 'print the version')}`;
}

const EXIT_STATUS = `Exit status
  0: graceful shutdown after SIGTERM or SIGINT; --help; --version
  1: invalid settings, failed start, or shutdown that exceeded SHUTDOWN_GRACE_MS
  2: invalid command-line arguments`;

function describe(setting: SettingDescription): string[] {
  const { name, meaning, accepted, defaultText, secret, isPublic } = setting;
  const fallback = defaultText === '' ? '' : `; default: ${defaultText}`;
  const inFile = entry(flagOf(`${name}_FILE`), meaning, `path of a file that contains ${accepted}${fallback}`);
  const plain = entry(flagOf(name), meaning, `accepts ${accepted}${fallback}`);
  if (!secret) return [plain];
  if (isPublic === undefined) return [inFile];
  return [plain, entry(flagOf(`${name}_FILE`), 'path of a file that contains it; required if it has a password')];
}

/** Returns a flag followed by its description, wrapped to the remaining columns. */
function entry(flag: string, ...paragraphs: readonly string[]): string {
  const lines = paragraphs.flatMap((paragraph) => wrap(paragraph, COLUMNS - DESCRIPTION_COLUMN));
  return lines.map((line, at) => (at === 0 ? `  ${flag}` : '').padEnd(DESCRIPTION_COLUMN) + line).join('\n');
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
