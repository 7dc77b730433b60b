import { Buffer } from 'node:buffer';
import { KEY_COMMANDS } from '../redis-commands/key-command-table.ts';
import { WRITE_COMMANDS } from '../redis-commands/command-names.ts';
import { pathOf, percentDecode } from '../http/keys/key-path.ts';

/** What every path that is a command looks like to the router. */
export const COMMAND_ROUTE = 'get/:key';
const ROUTED_PATH = '/get/key';

/**
 * Commands that a path may start with. Every other path is none of ours: what is served there, or is not, is up to
 * others. The last few are those that the client sends as paths.
 */
const NAMES: ReadonlySet<string> = new Set([
  ...KEY_COMMANDS.map(({ name }) => name),
  ...WRITE_COMMANDS,
  ...['ping', 'echo', 'publish', 'subscribe', 'psubscribe', 'monitor'],
]);

/** Commands that are refused with options, which Upstash also takes from the query: `/getex/key?EX=10`. */
const WITH_OPTIONS: ReadonlySet<string> = new Set(
  KEY_COMMANDS.filter(({ refuse }) => refuse !== undefined).map(({ name }) => name),
);

/** Makes a router see the same path for all commands: it would decode their arguments, as UTF-8. */
export function hideCommand(url: string): string {
  const [, name = ''] = /^\/([a-z-]+)(?=[/?]|$)/i.exec(pathOf(url)) ?? [];
  return NAMES.has(name.toLowerCase()) ? ROUTED_PATH : url;
}

/**
 * The command that a request target names, `/get/a%20key?_token=…`: percent-encoded bytes between slashes, up to the
 * query, which is looked at only where it has options of the command. Undefined when a `%` is not followed by two
 * hexadecimal digits.
 */
export function commandFromTarget(target: string): Buffer[] | undefined {
  const [path, ...query] = pathOf(target).split('?');
  const parts: Buffer[] = [];
  for (const part of path.slice(1).split('/')) {
    const bytes = Buffer.from(part, 'latin1');
    const length = percentDecode(bytes, 0, bytes.length, bytes);
    if (length === -1) return undefined;
    parts.push(bytes.subarray(0, length));
  }
  if (WITH_OPTIONS.has(parts[0].toString('latin1').toLowerCase())) parts.push(...optionsIn(query.join('?')));
  return parts;
}

function optionsIn(query: string): Buffer[] {
  const options = [...new URLSearchParams(query)].filter(([name]) => name !== '_token');
  return options.flat().map((word) => Buffer.from(word));
}
