import { Buffer } from 'node:buffer';
import { KEY_COMMANDS } from '../redis-commands/key-command-table.ts';
import { WRITE_COMMANDS } from '../redis-commands/refusals.ts';
import { pathOf, percentDecode, splitTarget } from '../http/request/key-path.ts';

/** The route that all command paths are mapped to. */
export const COMMAND_ROUTE = 'get/:key';
const ROUTED_PATH = '/get/key';

/**
 * Commands that a path may start with; other paths are left to other routes. Upstash's client sends the last few as paths.
 */
const NAMES: ReadonlySet<string> = new Set([
  ...KEY_COMMANDS.map(({ name }) => name),
  ...WRITE_COMMANDS,
  ...['ping', 'echo', 'publish', 'subscribe', 'psubscribe', 'monitor'],
]);

/** Commands that are rejected with options, which Upstash also accepts in the query: `/getex/key?EX=10`. */
const WITH_OPTIONS: ReadonlySet<string> = new Set(
  KEY_COMMANDS.filter(({ checkArguments }) => checkArguments !== undefined).map(({ name }) => name),
);

/** Maps all command paths to one: the router would decode arguments as UTF-8. */
export function hideCommand(url: string): string {
  const [, name = ''] = /^\/([a-z.-]+)(?=[/?]|$)/i.exec(pathOf(url)) ?? [];
  return NAMES.has(name.toLowerCase()) ? ROUTED_PATH : url;
}

/**
 * Parses the command in a request target, `/get/a%20key?_token=…`: percent-encoded bytes between slashes. The query is
 * parsed only for commands with options. Returns undefined if the percent-encoding is invalid.
 */
export function commandFromTarget(target: string): Buffer[] | undefined {
  const [path, query] = splitTarget(target);
  const parts: Buffer[] = [];
  for (const part of path.slice(1).split('/')) {
    const bytes = Buffer.from(part, 'latin1');
    const length = percentDecode(bytes, 0, bytes.length, bytes);
    if (length === -1) return undefined;
    parts.push(bytes.subarray(0, length));
  }
  if (WITH_OPTIONS.has(parts[0].toString('latin1').toLowerCase())) parts.push(...optionsIn(query));
  return parts;
}

function optionsIn(query: string | undefined): Buffer[] {
  const options = [...new URLSearchParams(query)].filter(([name]) => name !== '_token');
  return options.flat().map((word) => Buffer.from(word));
}
