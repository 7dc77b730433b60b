import { Buffer } from 'node:buffer';
import { KEY_COMMANDS } from '../commands/key-command.ts';
import { WRITE_COMMANDS } from '../commands/command-names.ts';
import { pathOf, percentDecode } from '../http/key-path.ts';

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

/** Makes a router see the same path for all commands: it would decode their arguments, as UTF-8. */
export function hideCommand(url: string): string {
  const [, name = ''] = /^\/([a-z-]+)(?=[/?]|$)/i.exec(pathOf(url)) ?? [];
  return NAMES.has(name.toLowerCase()) ? ROUTED_PATH : url;
}

/**
 * The command that a request target names, `/get/a%20key?_token=…`: percent-encoded bytes between slashes, up to the
 * query. Undefined when a `%` is not followed by two hexadecimal digits.
 */
export function commandFromTarget(target: string): Buffer[] | undefined {
  const [path] = pathOf(target).split('?', 1);
  const parts: Buffer[] = [];
  for (const part of path.slice(1).split('/')) {
    const bytes = Buffer.from(part, 'latin1');
    const length = percentDecode(bytes, 0, bytes.length, bytes);
    if (length === -1) return undefined;
    parts.push(bytes.subarray(0, length));
  }
  return parts;
}
